# The few words that the folders' CMakeLists.txt are written in.
include_guard(GLOBAL)
find_package(PkgConfig REQUIRED)

# cloister_folders(a b c): adds those that exist, in this order.
function(cloister_folders)
  foreach(folder IN LISTS ARGN)
    if(EXISTS "${CMAKE_SOURCE_DIR}/${folder}/CMakeLists.txt")
      add_subdirectory(${folder})
    endif()
  endforeach()
endfunction()

# cloister_library(name SOURCES ... LIBS ...): a static library whose headers are found as
# "<file>.h" by those that link it.
function(cloister_library name)
  cmake_parse_arguments(A "" "" "SOURCES;LIBS" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_compile_options(${name} PRIVATE ${CLOISTER_WARNINGS})
  target_include_directories(${name} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${A_LIBS})
endfunction()

# cloister_program(name SOURCES ... LIBS ...): a program in build/bin.
function(cloister_program name)
  cmake_parse_arguments(A "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_compile_options(${name} PRIVATE ${CLOISTER_WARNINGS})
  target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${A_LIBS})
endfunction()

# cloister_test(unit [SOURCES ...] [LIBS ...] [LABELS ...]): builds <unit>_test.c, which stands
# beside its unit, with cmocka, and registers it with CTest as <folder>/<unit>.
# Test programs land in build/test/<folder>/.
function(cloister_test unit)
  cmake_parse_arguments(A "" "" "SOURCES;LIBS;LABELS;ENVIRONMENT" ${ARGN})
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY ${CMAKE_SOURCE_DIR}
    OUTPUT_VARIABLE folder)
  string(REPLACE "/" "_" prefix "${folder}")
  set(target ${prefix}_${unit}_test)
  if(NOT A_SOURCES)
    set(A_SOURCES ${unit}_test.c)
  endif()
  add_executable(${target} ${A_SOURCES})
  target_compile_options(${target} PRIVATE ${CLOISTER_WARNINGS})
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE ${A_LIBS} cmocka)
  set_target_properties(${target} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test/${folder})
  add_test(NAME ${folder}/${unit} COMMAND ${target})
  set_tests_properties(${folder}/${unit} PROPERTIES TIMEOUT 300
    LABELS "unit;${A_LABELS}" ENVIRONMENT "${A_ENVIRONMENT}")
endfunction()

# cloister_fuzz(unit [LIBS ...] [SOURCES ...] [WRAP ...] [DICT file] [MAX_LEN bytes] [OPTIONS ...]):
# the harness <unit>_fuzz.c, which stands beside its unit. docs/fuzzing.md
#   with CLOISTER_FUZZ  a libFuzzer program in build-fuzz/fuzz/<folder>/, part of the target
#                       `fuzzers`; its limits are written beside it as <unit>_fuzz.options
#   otherwise           the CTest <folder>/<unit>_corpus, which runs it over the committed inputs in
#                       <folder>/corpus/<unit>/
# WRAP names functions that the harness stands in for (ld --wrap). OPTIONS are libFuzzer's.
function(cloister_fuzz unit)
  cmake_parse_arguments(A "" "DICT;MAX_LEN" "SOURCES;LIBS;WRAP;OPTIONS" ${ARGN})
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY ${CMAKE_SOURCE_DIR}
    OUTPUT_VARIABLE folder)
  string(REPLACE "/" "_" prefix "${folder}")
  set(target ${prefix}_${unit}_fuzz)
  add_executable(${target} ${unit}_fuzz.c ${A_SOURCES})
  target_compile_options(${target} PRIVATE ${CLOISTER_WARNINGS})
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE ${A_LIBS})
  foreach(call IN LISTS A_WRAP)
    target_link_options(${target} PRIVATE -Wl,--wrap=${call})
  endforeach()
  if(CLOISTER_FUZZ)
    cloister_fuzzer(${target} ${folder} ${unit})
  else()
    cloister_replay(${target} ${folder} ${unit})
  endif()
endfunction()

macro(cloister_fuzzer target folder unit)
  target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${target} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz/${folder} OUTPUT_NAME ${unit}_fuzz)
  if(NOT TARGET fuzzers)
    add_custom_target(fuzzers)
  endif()
  add_dependencies(fuzzers ${target})
  set(text "[libfuzzer]\n")
  if(A_MAX_LEN)
    string(APPEND text "max_len = ${A_MAX_LEN}\n")
  endif()
  if(A_DICT)
    string(APPEND text "dict = ${A_DICT}\n")
  endif()
  foreach(option IN LISTS A_OPTIONS)
    string(REPLACE "=" " = " option "${option}")
    string(APPEND text "${option}\n")
  endforeach()
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/fuzz/${folder}/${unit}_fuzz.options
    CONTENT "${text}" @ONLY)
endmacro()

macro(cloister_replay target folder unit)
  target_sources(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay.c)
  set_target_properties(${target} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test/${folder} OUTPUT_NAME ${unit}_corpus)
  add_test(NAME ${folder}/${unit}_corpus
    COMMAND ${target} ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${unit})
  set_tests_properties(${folder}/${unit}_corpus PROPERTIES TIMEOUT 300 LABELS "unit;fuzz")
endmacro()

# cloister_generated_sources(files...): code that a generator wrote; its warnings are not ours.
function(cloister_generated_sources)
  set_source_files_properties(${ARGN} PROPERTIES GENERATED TRUE COMPILE_OPTIONS "-w")
endfunction()

# Compiling policies (docs/policy-language.md). A folder says
#
#   cloister_policy(capture)                 capture.policy for the target cloister-capture
#   cloister_policy(capture TARGET other)    ... for another target
#   cloister_policy(probe SET test)          ... kept apart from the product's policies
#   cloister_policy(cmd-user COMMAND ...)    ... of a signed command's process, which is no worker
#
# and gets
#   capture_filter   a library with `extern const struct sandbox_filter capture_filter`
#                    ("capture_filter.h"), which the worker links
#   capture_table    an object with its `struct policy`, which `policies` (or `<set>_policies`), the
#                    library that monitor and launcher link, gathers in cloister_policies[]
# The table names the shared libraries of the built worker, so that nothing else is in its root.
include_guard(GLOBAL)

if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  set(CLOISTER_LOADER_DIR "/lib64")
else()
  set(CLOISTER_LOADER_DIR "/lib")
endif()

set(CLOISTER_POLICY_OVERLAY "")
if(CLOISTER_SANITIZE)
  set(CLOISTER_POLICY_OVERLAY --overlay "${CMAKE_SOURCE_DIR}/sandbox/sanitizer.policy")
endif()

function(cloister_policy name)
  cmake_parse_arguments(A "COMMAND" "TARGET;SET" "" ${ARGN})
  if(NOT A_TARGET)
    set(A_TARGET cloister-${name})
  endif()
  string(REPLACE "-" "_" id ${name})
  set(policy ${CMAKE_CURRENT_SOURCE_DIR}/${name}.policy)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/policy)
  file(MAKE_DIRECTORY ${out})
  file(GLOB bases CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/sandbox/*.policy
    ${CMAKE_CURRENT_SOURCE_DIR}/*.policy)

  add_custom_command(OUTPUT ${out}/${id}_filter.c ${out}/${id}_filter.h
    COMMAND policyc ${CLOISTER_POLICY_OVERLAY} filter ${policy} ${out}/${id}_filter.c
    COMMAND policyc ${CLOISTER_POLICY_OVERLAY} header ${policy} ${out}/${id}_filter.h
    DEPENDS policyc ${policy} ${bases} VERBATIM)
  add_library(${id}_filter STATIC ${out}/${id}_filter.c ${out}/${id}_filter.h)
  target_include_directories(${id}_filter PUBLIC ${out} ${CMAKE_SOURCE_DIR}/sandbox)

  add_custom_command(OUTPUT ${out}/${id}_policy.c
    COMMAND sh -c "LC_ALL=C ldd \"$1\" >\"$2\"" ldd $<TARGET_FILE:${A_TARGET}> ${out}/${id}.ldd
    COMMAND policyc ${CLOISTER_POLICY_OVERLAY} --libraries ${out}/${id}.ldd table ${policy}
      ${out}/${id}_policy.c
    DEPENDS policyc ${A_TARGET} ${policy} ${bases} VERBATIM)
  add_library(${id}_table OBJECT ${out}/${id}_policy.c)
  target_include_directories(${id}_table PRIVATE ${CMAKE_SOURCE_DIR}/sandbox)

  set(set policies)
  if(A_SET)
    set(set ${A_SET}_policies)
  endif()
  set_property(GLOBAL APPEND PROPERTY CLOISTER_${set} ${id})
  set_property(GLOBAL APPEND PROPERTY CLOISTER_${set}_FILES ${policy})
  if(A_COMMAND)
    set_property(GLOBAL APPEND PROPERTY CLOISTER_${set}_COMMANDS ${id})
  endif()
  set_property(GLOBAL APPEND PROPERTY CLOISTER_POLICY_SETS ${set})
endfunction()

# cloister_launcher(target set folder): the launcher that knows a set of policies.
function(cloister_launcher target set folder)
  add_executable(${target} $<TARGET_OBJECTS:launch_parts>)
  target_link_libraries(${target} PRIVATE launch_parts landlock namespaces ${set})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME cloister-launch
    RUNTIME_OUTPUT_DIRECTORY ${folder})
endfunction()

# Gathers a set; runs after all folders have been read.
function(cloister_gather_policies set)
  get_property(ids GLOBAL PROPERTY CLOISTER_${set})
  set(text "/* Made by cmake/Policy.cmake. */\n#include \"policy.h\"\n\n")
  foreach(id IN LISTS ids)
    string(APPEND text "extern const struct policy ${id}_policy;\n")
  endforeach()
  string(APPEND text "\nconst struct policy *const cloister_policies[] = {\n")
  set(objects "")
  foreach(id IN LISTS ids)
    string(APPEND text "    &${id}_policy,\n")
    list(APPEND objects $<TARGET_OBJECTS:${id}_table>)
  endforeach()
  string(APPEND text "    (const struct policy *)0,\n};\n")
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/${set}.c CONTENT "${text}" @ONLY)
  add_library(${set} STATIC ${CMAKE_BINARY_DIR}/${set}.c ${objects})
  target_include_directories(${set} PUBLIC ${CMAKE_SOURCE_DIR}/sandbox)
endfunction()

# build/policy-reasons.md: every dangerous entry of the product's policies and why it is there.
function(cloister_policy_reasons)
  get_property(files GLOBAL PROPERTY CLOISTER_policies_FILES)
  set(out ${CMAKE_BINARY_DIR}/policy-reasons.md)
  add_custom_command(OUTPUT ${out}
    COMMAND policyc reasons ${files} ${out}
    DEPENDS policyc ${files} ${CMAKE_SOURCE_DIR}/sandbox/process.policy
      ${CMAKE_SOURCE_DIR}/sandbox/worker.policy VERBATIM)
  add_custom_target(policy_reasons ALL DEPENDS ${out})
endfunction()

function(cloister_gather_all_policies)
  get_property(sets GLOBAL PROPERTY CLOISTER_POLICY_SETS)
  list(APPEND sets policies)
  list(REMOVE_DUPLICATES sets)
  foreach(set IN LISTS sets)
    cloister_gather_policies(${set})
  endforeach()
  cloister_policy_reasons()
endfunction()

cmake_language(DEFER DIRECTORY ${CMAKE_SOURCE_DIR} CALL cloister_gather_all_policies)

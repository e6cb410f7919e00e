# cloisterd, the monitor: root, single-threaded, libc and the INI reader and nothing else.
add_library(monitor_protocol INTERFACE)
target_include_directories(monitor_protocol INTERFACE ${CMAKE_CURRENT_SOURCE_DIR})

# libinih.a and not libinih.so: nothing that could be replaced below the privileged process.
find_library(CLOISTER_INIH NAMES libinih.a REQUIRED)

cloister_library(monitor_parts
  SOURCES config.c config_values.c hardware_ids.c session.c
  LIBS logging monitor_protocol ${CLOISTER_INIH})

cloister_test(config LIBS monitor_parts)
cloister_test(hardware_ids LIBS monitor_parts)
cloister_test(session LIBS monitor_parts)
if(CLOISTER_FUZZ)
  foreach(unit config)
    add_executable(${unit}_fuzz ${unit}_fuzz.c)
    target_link_libraries(${unit}_fuzz PRIVATE monitor_parts -fsanitize=fuzzer)
    set_target_properties(${unit}_fuzz PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  endforeach()
endif()

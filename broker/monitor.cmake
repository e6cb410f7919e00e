# cloisterd, the monitor: root, single-threaded, libc and the INI reader and nothing else.
add_library(monitor_protocol INTERFACE)
target_include_directories(monitor_protocol INTERFACE ${CMAKE_CURRENT_SOURCE_DIR})

# libinih.a and not libinih.so: nothing that could be replaced below the privileged process.
find_library(CLOISTER_INIH NAMES libinih.a REQUIRED)

cloister_library(monitor_parts
  SOURCES config.c config_values.c hardware_ids.c session.c
    monitor_table.c cgroup.c
  LIBS logging monitor_protocol ${CLOISTER_INIH})
target_include_directories(monitor_parts PUBLIC ${CMAKE_SOURCE_DIR}/sandbox)

set(MONITOR_SOURCES "")
foreach(file monitor_main monitor monitor_spawn monitor_runtime)
  list(APPEND MONITOR_SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/${file}.c)
endforeach()
if(TARGET cloister-launch)
  cloister_program(cloisterd SOURCES ${MONITOR_SOURCES} LIBS monitor_parts launch_stage policies)
  add_subdirectory(test)
endif()

cloister_test(config LIBS monitor_parts)
cloister_test(hardware_ids LIBS monitor_parts)
cloister_test(session LIBS monitor_parts)
cloister_test(monitor_table LIBS monitor_parts)
cloister_test(cgroup LIBS monitor_parts)

cloister_fuzz(config LIBS monitor_parts)
cloister_fuzz(monitor_message LIBS monitor_parts)

# cloisterd, the monitor: root, single-threaded, libc and the INI reader and nothing else.
add_library(monitor_protocol INTERFACE)
target_include_directories(monitor_protocol INTERFACE ${CMAKE_CURRENT_SOURCE_DIR})

# libinih.a and not libinih.so: nothing that could be replaced below the privileged process.
find_library(CLOISTER_INIH NAMES libinih.a REQUIRED)

# What runs as root: the table, control groups, processes. What parses runs in the reader, a child
# that has given up root (reader.h).
set(MONITOR_ROOT monitor_main.c monitor.c monitor_grant.c monitor_runtime.c monitor_spawn.c reader.c)
cloister_library(monitor_reader
  SOURCES cgroup_find.c config.c config_values.c hardware_ids.c reader_child.c session.c
  LIBS monitor_core ${CLOISTER_INIH})
cloister_library(monitor_core SOURCES cgroup.c monitor_table.c session_watch.c trusted.c
  LIBS logging monitor_protocol namespaces)
target_include_directories(monitor_core PUBLIC ${CMAKE_SOURCE_DIR}/sandbox ${CMAKE_SOURCE_DIR}/order)

set(MONITOR_SOURCES ${MONITOR_ROOT})
list(TRANSFORM MONITOR_SOURCES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
cloister_program(cloisterd SOURCES ${MONITOR_SOURCES}
  LIBS monitor_reader monitor_core namespaces policies)
# What --version adds.
set(MONITOR_BUILD
  "CLOISTER_BUILD=\"$<$<BOOL:${CLOISTER_SANITIZE}>: (sanitizer build, not for use)>\"")
target_compile_definitions(cloisterd PRIVATE ${MONITOR_BUILD})
add_subdirectory(test)

cloister_test(config LIBS monitor_reader)
target_compile_definitions(broker_config_test PRIVATE
  CLOISTER_CONF="${CMAKE_SOURCE_DIR}/packaging/cloister.conf")
cloister_test(hardware_ids LIBS monitor_reader)
cloister_test(session LIBS monitor_reader)
cloister_test(monitor_table LIBS monitor_core)
cloister_test(cgroup LIBS monitor_reader)

cloister_fuzz(config LIBS monitor_reader)
cloister_fuzz(mounts LIBS monitor_reader)
cloister_fuzz(monitor_message LIBS monitor_core)

# The lines that run as root, counted and bounded: what cloisterd and cloister-launch are made of.
# Not the monitor's reader, which is not root, nor log_relay.c, which cloisterd does not link.
set(root_files ${MONITOR_SOURCES})
foreach(part monitor_core logging launch_parts landlock namespaces)
  get_target_property(folder ${part} SOURCE_DIR)
  get_target_property(sources ${part} SOURCES)
  list(TRANSFORM sources PREPEND ${folder}/)
  list(APPEND root_files ${sources})
endforeach()
list(REMOVE_ITEM root_files ${CMAKE_SOURCE_DIR}/logging/log_relay.c)
add_test(NAME root-lines COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/test/root_lines.py
  $<TARGET_FILE:cloisterd> ${root_files})

# cloisterd, the monitor: root, single-threaded, libc and the INI reader and nothing else.
add_library(monitor_protocol INTERFACE)
target_include_directories(monitor_protocol INTERFACE ${CMAKE_CURRENT_SOURCE_DIR})

# Compiler and linker settings that every binary of Cloister is built with.
include_guard(GLOBAL)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

# Warnings for our own code; generated code is compiled without them (cloister_generated_sources).
set(CLOISTER_WARNINGS
  -Wall -Wextra -Werror -Wshadow -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes
  -Wwrite-strings -Wvla -Wundef -Wpointer-arith -Wcast-qual -Wimplicit-fallthrough
  -Wconversion -Wno-sign-conversion)
if(CMAKE_C_COMPILER_ID STREQUAL "Clang")
  # gcc's own switches in pragmas; and CHECK(!"a sentence") is how the tests say what went wrong.
  list(APPEND CLOISTER_WARNINGS -Wno-unknown-warning-option -Wno-string-conversion)
endif()

add_compile_definitions(_GNU_SOURCE CLOISTER_VERSION="${PROJECT_VERSION}")
add_compile_options(-fvisibility=hidden -ffunction-sections -fdata-sections
  -fno-strict-aliasing -fno-omit-frame-pointer)
add_link_options(-pie -Wl,--gc-sections -Wl,--as-needed -Wl,-z,relro,-z,now -Wl,-z,noexecstack
  -Wl,-z,separate-code)

if(CLOISTER_SANITIZE OR CLOISTER_FUZZ)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -U_FORTIFY_SOURCE)
  add_link_options(-fsanitize=address,undefined)
  add_compile_definitions(CLOISTER_SANITIZE=1)
  if(CLOISTER_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
  endif()
else()
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong
    -fstack-clash-protection -ftrivial-auto-var-init=zero)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
    add_compile_options(-fcf-protection=full)
  endif()
endif()

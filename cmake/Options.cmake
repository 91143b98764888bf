# Compiler settings of our own code. Generated code is compiled by EnvoyApi.cmake with its own.
option(EXEAT_WITH_RPC "Build the rooms that need gRPC; the tsan preset leaves them out" ON)

add_library(exeat_options INTERFACE)
target_include_directories(exeat_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(exeat_options INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -fstack-protector-strong
  # Designated initialisers leave the rest to the defaults on purpose.
  -Wno-missing-field-initializers
  # g++ 12 reports it falsely on "literal" + std::string when it optimises (GCC bug 105329).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
target_compile_definitions(exeat_options INTERFACE EXEAT_VERSION="${PROJECT_VERSION}")
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # libstdc++ 12's stable_sort calls what it marks as deprecated itself.
  target_compile_options(exeat_options INTERFACE -Wthread-safety -Wno-deprecated-declarations)
endif()
if(EXEAT_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # False in instrumented code, as GCC's manual says of these two together.
  target_compile_options(exeat_options INTERFACE -Wno-maybe-uninitialized)
endif()

if(EXEAT_SANITIZE)
  add_compile_options(-fsanitize=${EXEAT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${EXEAT_SANITIZE})
  if(EXEAT_SANITIZE MATCHES "thread")
    # protobuf 3.21 changes a map's layout under this macro, and Debian's library has the other one.
    add_compile_options(-U__SANITIZE_THREAD__)
  endif()
  if(EXEAT_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize=vptr)
  endif()
endif()

if(EXEAT_BUILD_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "EXEAT_BUILD_FUZZ needs clang: cmake --preset fuzz")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

option(EXEAT_HARDEN "Add the hardening that costs speed or debugging; the release preset's" OFF)
if(EXEAT_HARDEN)
  include(CheckPIESupported)
  check_pie_supported()
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-clash-protection
                      $<$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},x86_64>:-fcf-protection>)
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
  add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack)
endif()

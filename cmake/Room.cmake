# One static library a room, its tests beside the code.
#
#   exeat_room(NAME DEPS rooms... LIBS targets...)
#
# Sources are every *.cc of the folder that is neither a test nor a fake; `x_test.cc` files make
# one test program a room; `testing/` holds fakes that the tests of later rooms may use. Each
# `fuzz/y_fuzz.cc` is a libFuzzer program, which ctest runs for five seconds.
function(exeat_room name)
  cmake_parse_arguments(ROOM "" "" "DEPS;LIBS;TEST_DEPS;TEST_LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  file(GLOB fakes CONFIGURE_DEPENDS testing/*.cc)
  list(TRANSFORM ROOM_DEPS PREPEND exeat_)
  list(TRANSFORM ROOM_TEST_DEPS PREPEND exeat_)

  if(sources)
    add_library(exeat_${name} STATIC ${sources})
    target_link_libraries(exeat_${name} PUBLIC exeat_options ${ROOM_DEPS} ${ROOM_LIBS})
  else()
    add_library(exeat_${name} INTERFACE)
    target_link_libraries(exeat_${name} INTERFACE exeat_options ${ROOM_DEPS} ${ROOM_LIBS})
  endif()

  if(tests AND EXEAT_BUILD_TESTS)
    add_executable(${name}_test ${tests} ${fakes})
    target_link_libraries(${name}_test PRIVATE exeat_${name} ${ROOM_TEST_DEPS} ${ROOM_TEST_LIBS}
                          GTest::gmock GTest::gtest_main)
    add_test(NAME unit_${name} COMMAND ${name}_test --gtest_brief=1
             WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(unit_${name} PROPERTIES TIMEOUT 300 LABELS unit
                         ENVIRONMENT "EXEAT_ENVOY=${EXEAT_ENVOY_BINARY}")
  endif()

  if(EXEAT_BUILD_FUZZ)
    file(GLOB fuzzers CONFIGURE_DEPENDS fuzz/*_fuzz.cc)
    foreach(source ${fuzzers})
      get_filename_component(stem ${source} NAME_WE)
      set(target ${name}_${stem})
      add_executable(${target} ${source} ${fakes})
      target_link_libraries(${target} PRIVATE exeat_${name} ${ROOM_TEST_DEPS} ${ROOM_TEST_LIBS})
      target_link_options(${target} PRIVATE -fsanitize=fuzzer)
      set(corpus)
      if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${stem})
        set(corpus ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${stem})
      endif()
      file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/${stem}_found)
      add_test(NAME fuzz_${target}
               COMMAND ${target} -max_total_time=5 -timeout=5 -rss_limit_mb=2048 -verbosity=0
                       -print_final_stats=1 ${CMAKE_CURRENT_BINARY_DIR}/${stem}_found ${corpus}
               WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
      set_tests_properties(fuzz_${target} PROPERTIES TIMEOUT 120 LABELS fuzz)
    endforeach()
  endif()
endfunction()

# One static library a room, its tests beside the code.
#
#   exeat_room(NAME DEPS rooms... LIBS targets...)
#
# Sources are every *.cc of the folder that is neither a test nor a fake; `x_test.cc` files make
# one test program a room; `testing/` holds fakes that the tests of later rooms may use.
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
endfunction()

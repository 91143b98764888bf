# The Envoy API, generated from the descriptors inside the pinned binary (tools/envoy-descriptors):
#
#   exeat_envoy_api  the C++ of the services we speak, and every descriptor as embedded bytes:
#                    #include "envoy_api/descriptors.h"
set(EXEAT_ENVOY "" CACHE FILEPATH "Envoy binary; empty: the pinned one, fetched by tools/fetch-envoy")
# Debian's own, never whatever python3 comes first on PATH.
set(EXEAT_PYTHON /usr/bin/python3)

set(envoy_binary "${EXEAT_ENVOY}")
if(NOT envoy_binary)
  execute_process(COMMAND ${PROJECT_SOURCE_DIR}/tools/fetch-envoy OUTPUT_VARIABLE envoy_binary
                  OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
endif()
set(EXEAT_ENVOY_BINARY "${envoy_binary}")

set(api_dir ${CMAKE_BINARY_DIR}/envoy_api)
set(services
  envoy/service/discovery/v3/ads.proto
  envoy/service/auth/v3/external_auth.proto
  envoy/service/accesslog/v3/als.proto)
set(roots ${services}
  envoy/extensions/transport_sockets/tls/v3/secret.proto
  envoy/extensions/filters/http/aws_request_signing/v3/aws_request_signing.proto)
file(MAKE_DIRECTORY ${api_dir}/envoy_api)
execute_process(
  COMMAND ${EXEAT_PYTHON} ${PROJECT_SOURCE_DIR}/tools/envoy-descriptors ${envoy_binary}
          ${api_dir}/envoy.pb --closure ${roots}
  OUTPUT_VARIABLE closure OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ";" closure "${closure}")

set(generated)
foreach(proto ${closure})
  string(REPLACE ".proto" ".pb.cc" source ${proto})
  list(APPEND generated ${api_dir}/${source})
endforeach()
set(generated_grpc)
foreach(proto ${services})
  string(REPLACE ".proto" ".grpc.pb.cc" source ${proto})
  list(APPEND generated_grpc ${api_dir}/${source})
endforeach()

find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)
add_custom_command(
  OUTPUT ${generated} ${generated_grpc}
  COMMAND protobuf::protoc --descriptor_set_in=${api_dir}/envoy.pb --cpp_out=${api_dir} ${closure}
  COMMAND protobuf::protoc --descriptor_set_in=${api_dir}/envoy.pb --grpc_out=${api_dir}
          --plugin=protoc-gen-grpc=${GRPC_CPP_PLUGIN} ${services}
  DEPENDS ${api_dir}/envoy.pb
  COMMENT "Generating the Envoy API")

file(CONFIGURE OUTPUT ${api_dir}/envoy_api/descriptors.h CONTENT [[
// Every protobuf descriptor of the pinned Envoy, as one serialized FileDescriptorSet.
#pragma once

#include <string_view>

namespace exeat::envoy_api {

std::string_view Descriptors();

}  // namespace exeat::envoy_api
]] @ONLY)
file(CONFIGURE OUTPUT ${api_dir}/descriptors.cc CONTENT [[
#include "envoy_api/descriptors.h"

asm(R"(
  .section .rodata
  .global exeat_descriptors_begin
  .global exeat_descriptors_end
exeat_descriptors_begin:
  .incbin "@api_dir@/envoy.pb"
exeat_descriptors_end:
  .byte 0
  .previous
)");

extern "C" const char exeat_descriptors_begin[];
extern "C" const char exeat_descriptors_end[];

namespace exeat::envoy_api {

std::string_view Descriptors() {
  return std::string_view(exeat_descriptors_begin,
                          static_cast<std::size_t>(exeat_descriptors_end - exeat_descriptors_begin));
}

}  // namespace exeat::envoy_api
]] @ONLY)
set_source_files_properties(${api_dir}/descriptors.cc PROPERTIES
  OBJECT_DEPENDS ${api_dir}/envoy.pb SKIP_UNITY_BUILD_INCLUSION ON)

# Two names clash when protoc's files share a unit: give each file its own.
add_library(exeat_envoy_api STATIC ${generated} ${generated_grpc} ${api_dir}/descriptors.cc)
target_include_directories(exeat_envoy_api SYSTEM PUBLIC ${api_dir})
target_compile_options(exeat_envoy_api PRIVATE -w -g0)
if(EXEAT_SANITIZE)
  target_compile_options(exeat_envoy_api PRIVATE -fno-sanitize=all)
endif()
target_link_libraries(exeat_envoy_api PUBLIC protobuf::libprotobuf gRPC::grpc++)
set_target_properties(exeat_envoy_api PROPERTIES
  UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 24 UNITY_BUILD_UNIQUE_ID EXEAT_UNIT
  UNITY_BUILD_CODE_BEFORE_INCLUDE [[
#include <google/protobuf/generated_message_reflection.h>
#define EXEAT_JOIN_(a, b) a##b
#define EXEAT_JOIN(a, b) EXEAT_JOIN_(a, b)
#define schemas EXEAT_JOIN(schemas_, EXEAT_UNIT)
#define file_default_instances EXEAT_JOIN(file_default_instances_, EXEAT_UNIT)
]]
  UNITY_BUILD_CODE_AFTER_INCLUDE [[
#undef schemas
#undef file_default_instances
]])

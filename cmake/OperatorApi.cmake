# exeat_operator_api: C++ of the operator's own proto.
set(proto_dir ${PROJECT_SOURCE_DIR}/src/operator)
set(generated ${PROJECT_BINARY_DIR}/operator_api)
file(MAKE_DIRECTORY ${generated})
find_program(GRPC_CPP_PLUGIN grpc_cpp_plugin REQUIRED)

add_custom_command(
  OUTPUT ${generated}/operator.pb.cc ${generated}/operator.pb.h
         ${generated}/operator.grpc.pb.cc ${generated}/operator.grpc.pb.h
  COMMAND protobuf::protoc -I${proto_dir} --cpp_out=${generated} --grpc_out=${generated}
          --plugin=protoc-gen-grpc=${GRPC_CPP_PLUGIN} ${proto_dir}/operator.proto
  DEPENDS ${proto_dir}/operator.proto
  VERBATIM)

add_library(exeat_operator_api STATIC ${generated}/operator.pb.cc ${generated}/operator.grpc.pb.cc)
target_compile_options(exeat_operator_api PRIVATE -w -g0)
target_include_directories(exeat_operator_api SYSTEM PUBLIC ${generated})
target_link_libraries(exeat_operator_api PUBLIC protobuf::libprotobuf gRPC::grpc++)

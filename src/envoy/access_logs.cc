#include "envoy/access_logs.h"

#include "envoy/names.h"

namespace exeat::envoy {
namespace {

Json Common(const char* log_name, const char* leg) {
  const Json leg_tag = {{"tag", kLegTag}, {"literal", Json::object({{"value", leg}})}};
  return {{"log_name", log_name},
          {"transport_api_version", "V3"},
          {"grpc_service", ControlGrpc()},
          {"buffer_flush_interval", "0.1s"},
          {"filter_state_objects_to_log", Json::array({kTargetState})},
          {"custom_tags", Json::array({leg_tag})}};
}

}  // namespace

Json HttpAccessLog(const char* leg) {
  return Json::array(
      {Extension("envoy.access_loggers.http_grpc",
                 "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
                 {{"common_config", Common(kHttpLogName, leg)},
                  {"additional_response_headers_to_log", Json::array({kDenyReasonHeader})}})});
}

Json ConnectionAccessLog(const char* leg) {
  return Json::array({Extension("envoy.access_loggers.tcp_grpc",
                                "envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig",
                                {{"common_config", Common(kConnectionLogName, leg)}})});
}

}  // namespace exeat::envoy

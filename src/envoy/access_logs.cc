#include "envoy/access_logs.h"

#include <utility>

#include "envoy/carried_state.h"
#include "envoy/names.h"

namespace exeat::envoy {
namespace {

Json Common(const char* log_name, const std::string& leg) {
  const Json leg_tag = Json::object({{"tag", kLegTag}, {"value", leg}});
  const Json vetted_by =
      Json::object({{"tag", kVettedByTag}, {"value", CarriedFormat(kVettedByState)}});
  return {{"log_name", log_name},
          {"transport_api_version", "V3"},
          {"grpc_service", ControlGrpc()},
          {"buffer_flush_interval", "0.1s"},
          {"filter_state_objects_to_log", Json::array({kTargetState})},
          {"custom_tags", Json::array({leg_tag, vetted_by})}};
}

}  // namespace

Json HttpAccessLog(const std::string& leg) {
  return Json::array(
      {Extension("envoy.access_loggers.http_grpc",
                 "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
                 {{"common_config", Common(kHttpLogName, leg)},
                  {"additional_response_headers_to_log", Json::array({kDenyReasonHeader})}})});
}

// A listener logs every connection it accepts; only those that found no chain, or whose first bytes
// were no ClientHello, have no entry of the HTTP log.
Json ConnectionAccessLog() {
  const Json no_chain = {{"response_flag_filter", {{"flags", Json::array({"NR"})}}}};
  const Json not_tls = {{"metadata_filter",
                         {{"matcher",
                           {{"filter", "envoy.filters.listener.tls_inspector"},
                            {"path", Path({"failure_reason"})},
                            {"value", Json::object({{"present_match", true}})}}},
                          {"match_if_key_not_found", false}}}};
  Json log = Extension("envoy.access_loggers.tcp_grpc",
                       "envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig",
                       {{"common_config", Common(kConnectionLogName, CarriedFormat(kLegState))}});
  log["filter"] = {{"or_filter", {{"filters", Json::array({no_chain, not_tls})}}}};
  return Json::array({std::move(log)});
}

}  // namespace exeat::envoy

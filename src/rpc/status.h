// Our errors as gRPC's. The codes are the same numbers.
#pragma once

#include <grpcpp/support/status.h>

#include "base/status.h"

namespace exeat::rpc {

inline ::grpc::Status ToGrpc(const base::Status& status) {
  if (status.ok()) return ::grpc::Status::OK;
  return {static_cast<::grpc::StatusCode>(status.code()), base::Message(status)};
}

inline base::Status FromGrpc(const ::grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return base::MakeStatus(static_cast<base::StatusCode>(status.error_code()),
                          status.error_message());
}

}  // namespace exeat::rpc

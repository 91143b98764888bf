// How the guards read a finished configuration: anything absent or of another shape reads as null,
// so that no rule is met by what is not there.
#pragma once

#include <functional>
#include <initializer_list>
#include <string_view>

#include "base/status.h"
#include "envoy/json.h"

namespace exeat::envoy {

inline constexpr char kManagerMessage[] =
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
inline constexpr char kExtAuthzMessage[] = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz";
inline constexpr char kNetworkExtAuthzMessage[] =
    "envoy.extensions.filters.network.ext_authz.v3.ExtAuthz";
inline constexpr char kJwtAuthnMessage[] =
    "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";

const Json& Member(const Json& object, std::string_view key);
const Json& At(const Json& object, std::initializer_list<std::string_view> path);
bool IsTrue(const Json& value);
bool HasType(const Json& message, std::string_view type);
// Visits `node` and everything below it.
void Visit(const Json& node, const std::function<void(const Json&)>& visitor);
bool Names(const Json& node, std::string_view text);

// Whether this is no ext_authz of that type, or one that lets something pass without an answer.
bool MayPassUnasked(const Json& ext_authz, std::string_view type = kExtAuthzMessage);

base::Status Refuse(std::string_view resource, std::string_view rule);

}  // namespace exeat::envoy

#include "envoy/carried_state.h"

#include <fmt/format.h>

#include "envoy/names.h"

namespace exeat::envoy {

Json Carry(const char* key, const char* format) {
  return {{"object_key", key},
          {"factory_key", "envoy.hashable_string"},
          {"shared_with_upstream", "ONCE"},
          {"skip_if_empty", true},
          {"format_string",
           {{"omit_empty_values", true},
            {"text_format_source", Json::object({{"inline_string", format}})}}}};
}

Json CarryFromCheck(const char* key, const char* metadata_key) {
  return Carry(key,
               fmt::format("%DYNAMIC_METADATA({}:{})%", kExtAuthzFilter, metadata_key).c_str());
}

Json CarryGuestAddress() {
  return {
      {"object_key", "envoy.filters.listener.original_dst.remote_ip"},
      {"shared_with_upstream", "ONCE"},
      {"format_string",
       {{"text_format_source", Json::object({{"inline_string", "%DOWNSTREAM_REMOTE_ADDRESS%"}})}}}};
}

std::string CarriedFormat(const char* key) { return fmt::format("%FILTER_STATE({}:PLAIN)%", key); }

}  // namespace exeat::envoy

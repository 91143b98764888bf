// Filter state that an outer listener hands to the internal one.
//
// Why here:  both legs must carry it alike, and there is one form that is safe: with the plain
// string
//            type the connection pool of the internal listener hands one guest's connection, and so
//            its identity, to the next. Only hashable objects are part of the pool's key.
// Trust:     only our outer listeners write it; no guest can.
// Source:    tests/e2e/test_shared_filter_state.py
#pragma once

#include "envoy/json.h"

namespace exeat::envoy {

// One entry of a set_filter_state filter; absent when `format` gives nothing.
Json Carry(const char* key, const char* format);
// What Check wrote under `metadata_key` at CONNECT; absent when it wrote nothing.
Json CarryFromCheck(const char* key, const char* metadata_key);
// The guest's address and port, which the internal listener's original_dst filter restores.
Json CarryGuestAddress();
// The format that reads it inside: "-" when it is absent.
std::string CarriedFormat(const char* key);

}  // namespace exeat::envoy

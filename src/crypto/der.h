// Writing DER: small pure functions, each of one rule of X.690.
//
// Why here:  leaves are put together from a prebuilt template at the speed of their signature;
//            OpenSSL's X.509 objects cost several times that (docs/adr/0005-leaf-template.md).
// Errors:    none: every input has an encoding.
// Source:    ITU-T X.690 (DER), RFC 5280
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace exeat::crypto::der {

inline constexpr char kBoolean = 0x01;
inline constexpr char kInteger = 0x02;
inline constexpr char kBitString = 0x03;
inline constexpr char kOctetString = 0x04;
inline constexpr char kOid = 0x06;
inline constexpr char kUtf8String = 0x0c;
inline constexpr char kUtcTime = 0x17;
inline constexpr char kGeneralizedTime = 0x18;
inline constexpr char kSequence = 0x30;
inline constexpr char kSet = 0x31;
// [number], context-specific: primitive and constructed.
constexpr char Primitive(int number) { return static_cast<char>(0x80 | number); }
constexpr char Constructed(int number) { return static_cast<char>(0xa0 | number); }

// Appends tag and length only: the content follows by the caller.
void AppendHeader(std::string& out, char tag, std::size_t content_length);
// How many bytes AppendHeader adds.
std::size_t HeaderSize(std::size_t content_length);

std::string Tlv(char tag, std::string_view content);
std::string Sequence(std::initializer_list<std::string_view> parts);
std::string Boolean(bool value);
// A non-negative INTEGER from big-endian bytes, leading zeros dropped, a sign byte put where
// needed.
std::string UnsignedInteger(std::string_view big_endian);
// A BIT STRING of whole bytes.
std::string BitString(std::string_view bytes);
// An OBJECT IDENTIFIER of at least two arcs, as {1, 2, 840, 10045}.
std::string Oid(std::initializer_list<std::uint32_t> arcs);
// UTCTime up to 2049 and GeneralizedTime after it, as RFC 5280 section 4.1.2.5 asks; whole seconds,
// Z. Times before 1950 or after 9999 are held to those ends.
std::string Time(base::UnixSeconds time);

}  // namespace exeat::crypto::der

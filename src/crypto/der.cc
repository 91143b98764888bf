#include "crypto/der.h"

#include <algorithm>
#include <chrono>

namespace exeat::crypto::der {

std::size_t HeaderSize(std::size_t content_length) {
  if (content_length < 0x80) return 2;
  std::size_t size = 2;
  for (; content_length > 0; content_length >>= 8) ++size;
  return size;
}

void AppendHeader(std::string& out, char tag, std::size_t content_length) {
  out.push_back(tag);
  if (content_length < 0x80) {
    out.push_back(static_cast<char>(content_length));
    return;
  }
  const std::size_t length_bytes = HeaderSize(content_length) - 2;
  out.push_back(static_cast<char>(0x80 | length_bytes));
  for (std::size_t i = length_bytes; i > 0; --i) {
    out.push_back(static_cast<char>((content_length >> (8 * (i - 1))) & 0xff));
  }
}

std::string Tlv(char tag, std::string_view content) {
  std::string out;
  out.reserve(HeaderSize(content.size()) + content.size());
  AppendHeader(out, tag, content.size());
  out.append(content);
  return out;
}

std::string Sequence(std::initializer_list<std::string_view> parts) {
  std::string content;
  for (const std::string_view part : parts) content.append(part);
  return Tlv(kSequence, content);
}

std::string Boolean(bool value) {
  return Tlv(kBoolean, value ? "\xff" : std::string_view("\0", 1));
}

std::string UnsignedInteger(std::string_view big_endian) {
  while (!big_endian.empty() && big_endian.front() == '\0') big_endian.remove_prefix(1);
  std::string content;
  if (big_endian.empty() || (static_cast<unsigned char>(big_endian.front()) & 0x80) != 0) {
    content.push_back('\0');
  }
  content.append(big_endian);
  return Tlv(kInteger, content);
}

std::string BitString(std::string_view bytes) {
  std::string content(1, '\0');  // no unused bits
  content.append(bytes);
  return Tlv(kBitString, content);
}

std::string Oid(std::initializer_list<std::uint32_t> arcs) {
  const auto append = [](std::string& out, std::uint32_t arc) {
    char groups[5];
    std::size_t count = 0;
    do {
      groups[count++] = static_cast<char>(arc & 0x7f);
      arc >>= 7;
    } while (arc > 0);
    while (count > 1) out.push_back(static_cast<char>(groups[--count] | 0x80));
    out.push_back(groups[0]);
  };
  std::string content;
  const auto* arc = arcs.begin();
  append(content, arc[0] * 40 + arc[1]);
  for (arc += 2; arc != arcs.end(); ++arc) append(content, *arc);
  return Tlv(kOid, content);
}

std::string Time(base::UnixSeconds time) {
  constexpr base::UnixSeconds kFirst = -631'152'000;    // 1950-01-01T00:00:00Z
  constexpr base::UnixSeconds kLast = 253'402'300'799;  // 9999-12-31T23:59:59Z
  const std::chrono::sys_seconds point{std::chrono::seconds(std::clamp(time, kFirst, kLast))};
  const auto day = std::chrono::floor<std::chrono::days>(point);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(point - day);
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  std::string digits;
  const auto append = [&digits](unsigned two_digits) {
    digits.push_back(static_cast<char>('0' + two_digits / 10));
    digits.push_back(static_cast<char>('0' + two_digits % 10));
  };
  if (year >= 2050) append(year / 100);
  append(year % 100);
  append(static_cast<unsigned>(date.month()));
  append(static_cast<unsigned>(date.day()));
  append(static_cast<unsigned>(clock.hours().count()));
  append(static_cast<unsigned>(clock.minutes().count()));
  append(static_cast<unsigned>(clock.seconds().count()));
  digits.push_back('Z');
  return Tlv(year < 2050 ? kUtcTime : kGeneralizedTime, digits);
}

}  // namespace exeat::crypto::der

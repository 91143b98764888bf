// Any bytes as a log: the verdict must be consistent with itself.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "audit/chain.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const exeat::audit::Verdict verdict = exeat::audit::VerifyText(text);
  if (verdict.intact != (verdict.first_bad_line == 0)) std::abort();
  if (verdict.intact != verdict.problem.empty()) std::abort();
  if (verdict.intact && (verdict.records == 0 || verdict.head.size() != 64)) std::abort();
  if (verdict.intact && text.back() != '\n') std::abort();
  if (verdict.intact && !exeat::audit::VerifyText(text, verdict.head).intact) std::abort();
  return 0;
}

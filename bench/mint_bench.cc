// P7 and P8: what a leaf costs beside the bare cryptography in it.
#include <stdlib.h>

#include <filesystem>
#include <memory>

#include "bench/ratio.h"
#include "crypto/raw_operations.h"
#include "issuer/issuer.h"

namespace exeat {
namespace {

constexpr char kHost[] = "api.docs.example.net";

base::Status Run(const std::string& directory, const bench::Plan& plan, bool& all_met) {
  const auto& clock = base::SystemClock();
  ASSIGN_OR_RETURN(const auto authority, issuer::Authority::Open(directory, "bench", clock));
  const auto record = [](std::string_view, std::string_view) { return absl::OkStatus(); };
  issuer::Issuer::Options each;
  each.key_epoch = std::chrono::seconds(0);
  ASSIGN_OR_RETURN(const auto fresh, issuer::Issuer::Make(*authority, each, record, clock));
  ASSIGN_OR_RETURN(const auto shared, issuer::Issuer::Make(*authority, {}, record, clock));
  ASSIGN_OR_RETURN(const auto raw, crypto::RawOperations::Make());

  policy::Policy policy;
  policy.posture = policy::Posture::kBump;
  policy.destinations.emplace_back().host = kHost;
  const auto mint = [&policy](issuer::Issuer& issuer) {
    auto checked = issuer::CheckLeaf(kHost, policy);
    return checked.ok() && issuer.Sign(*std::move(checked)).ok();
  };
  const bool p7 = bench::PrintRatio(
      "P7", 0.85, plan, [&] { return mint(*fresh); },
      [&] { return raw->Generate() && raw->Sign(); });
  const bool p8 = bench::PrintRatio(
      "P8", 0.90, plan, [&] { return mint(*shared); }, [&] { return raw->Sign(); });
  all_met = p7 && p8;
  return absl::OkStatus();
}

}  // namespace
}  // namespace exeat

// Exit 0 when both goals are met, 1 when one is missed or nothing could be measured.
int main(int argc, char** argv) {
  const exeat::bench::Plan plan = exeat::bench::PlanFromArguments(argc, argv);
  std::string directory = std::filesystem::temp_directory_path() / "exeat-mint-XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) return 1;
  bool all_met = false;
  const exeat::base::Status status = exeat::Run(directory, plan, all_met);
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);
  if (!status.ok()) fmt::print(stderr, "{}\n", exeat::base::Message(status));
  return status.ok() && all_met ? 0 : 1;
}

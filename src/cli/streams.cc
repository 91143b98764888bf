#include "cli/streams.h"

#include <ostream>

#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace exeat::cli {
namespace {

double Milliseconds(const ops::v1::StreamsCut& streams) {
  return static_cast<double>(streams.took_us()) / 1000;
}

}  // namespace

nlohmann::json StreamsJson(const ops::v1::StreamsCut& streams) {
  return {{"cut", streams.cut()},
          {"uncut", streams.uncut()},
          {"ms", Milliseconds(streams)},
          {"ends_within_s", streams.ends_within_s()}};
}

void PrintStreams(Context& context, const ops::v1::StreamsCut& streams) {
  if (streams.cut() + streams.uncut() == 0) {
    context.out << "no stream was open\n";
  } else {
    context.out << fmt::format("{} open stream{} cut, {:.1f} ms\n", streams.cut(),
                               streams.cut() == 1 ? "" : "s", Milliseconds(streams));
  }
}

int JudgeStreams(Context& context, const ops::v1::StreamsCut& streams) {
  if (streams.uncut() == 0) return kDone;
  if (streams.ends_within_s() > 0) {
    context.err << fmt::format(
        "exeat: {} open stream{} not cut, for sockets are not cut on this edge: {} by {} within {} "
        "s; every further request of theirs is refused. See: exeat doctor\n",
        streams.uncut(), streams.uncut() == 1 ? " is" : "s are",
        streams.uncut() == 1 ? "it ends" : "they end",
        streams.uncut() == 1 ? "itself" : "themselves", streams.ends_within_s());
    return kFailed;
  }
  context.err << fmt::format(
      "exeat: {} open stream{} not known to have ended; every further request of theirs is "
      "refused. See: exeat doctor\n",
      streams.uncut(), streams.uncut() == 1 ? " is" : "s are");
  return kFailed;
}

}  // namespace exeat::cli

#include "operator/stream_ending.h"

#include "fmt/format.h"

namespace exeat::ops {

StreamEnding EndStreamsBy(const policy::Streams& wanted, bool sockets_can_be_cut,
                          std::string_view means) {
  StreamEnding ending;
  const bool cuts = wanted.cut != policy::CutBy::kMaxStreamDuration;
  if (cuts && sockets_can_be_cut) {
    ending.how = StreamEnding::How::kCut;
    ending.words = means;
    return ending;
  }
  if (wanted.cut == policy::CutBy::kSocket) {
    ending.words = fmt::format("{}; every stream is refused, as streams.cut: socket says", means);
    return ending;
  }
  ending.how = StreamEnding::How::kBounded;
  ending.lasts = wanted.max_duration;
  ending.bound = wanted.max_duration + kLongestDial;
  ending.words = fmt::format("{}; every stream ends by itself within {} s",
                             cuts ? means : "max_stream_duration", ending.bound.count());
  return ending;
}

}  // namespace exeat::ops

// SPDX-License-Identifier: AGPL-3.0-only
// How auspex-unpack hands an archive's files to runnerd, which writes them: the program that reads a
// hostile archive has no place to write to at all, and whoever takes it over can only name files and
// octets, which are held against the limits here. On one pipe, in this order:
//
//   "file OCTETS PATH\n"             for each file
//   "data OCTETS\n" and the octets   until the file has as many as were announced
//   "OUTCOME MEMBERS OCTETS WHY\n"   once, the end, within a file too: UnpackWord, counts, the reason
#ifndef AUSPEX_RUNNERD_UNPACK_STREAM_H_
#define AUSPEX_RUNNERD_UNPACK_STREAM_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "runnerd/unpack/unpack.h"

namespace auspex::runnerd {

// The program's side. One thread.
class StreamSink : public MemberSink {
 public:
  explicit StreamSink(int fd) : fd_(fd) {}
  bool Begin(std::string_view path, uint64_t octets) override;
  bool Write(std::string_view piece) override;
  bool End() override { return true; }
  const UnpackResult& result() const override { return result_; }
  // The last line. False when it could not be handed over.
  bool Finish(const UnpackResult& result);

 private:
  bool Send(std::string_view octets);

  const int fd_;
  UnpackResult result_;
};

// runnerd's side: takes what comes in any pieces and hands the files to `writer`, which is lent. One
// thread.
class UnpackStream {
 public:
  UnpackStream(MemberSink& writer, const UnpackLimits& limits)
      : writer_(writer), longest_line_(limits.path_octets + 256) {}

  // False when it must not go on: result() says why.
  bool Take(std::string_view untrusted_piece);
  // Of the whole: the writer's objection, else what the program said at its end, else kFailed with
  // an empty reason: there was no end.
  UnpackResult result() const;

 private:
  bool TakeLine();
  bool TakeFile(std::string_view rest);
  bool Stop(std::string why);

  MemberSink& writer_;
  const size_t longest_line_;
  std::string line_;                        // as far as it has come
  uint64_t file_left_ = 0, data_left_ = 0;  // octets of the file, and of them of this piece
  bool ended_ = false;
  UnpackResult result_{UnpackResult::Outcome::kFailed, "", 0, 0};
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_UNPACK_STREAM_H_

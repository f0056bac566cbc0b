// SPDX-License-Identifier: AGPL-3.0-only
// What is kept of the streams that a sandbox writes. Both read without blocking and never wait for
// the end of the stream: a process that keeps the other end open holds nothing up. One thread at a
// time.
#ifndef AUSPEX_RUNNERD_BOUNDED_READER_H_
#define AUSPEX_RUNNERD_BOUNDED_READER_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace auspex::runnerd {

// A pipe whose reading end is non-blocking.
struct Pipe {
  UniqueFd read, write;
  static absl::StatusOr<Pipe> Make();
};

// Hands what is there to `take`, at most 64 reads of 64 KiB; false at the end of the stream.
bool DrainInto(int fd, const std::function<void(std::string_view)>& take);

// Keeps the last octets of a stream and drops the rest.
class TailReader {
 public:
  // Room for `keep` octets; reads take at most 64 KiB at a time.
  explicit TailReader(size_t keep) : keep_(keep) {}
  // Takes what is there, at most `rounds` reads, so that a flood cannot hold the caller; false at
  // the end of the stream.
  bool Drain(int fd, int rounds = 4);
  // The last octets, cut at a line's start where that leaves something.
  std::string Tail() const;

 private:
  size_t keep_;
  std::string text_;
};

// Keeps a stream up to a limit; one octet more is an overflow, after which all is dropped.
class BoundedReader {
 public:
  explicit BoundedReader(size_t limit) : limit_(limit) {}
  bool Drain(int fd, int rounds = 64);
  bool overflow() const { return overflow_; }
  const std::string& text() const { return text_; }
  std::string Take() { return std::move(text_); }

 private:
  size_t limit_;
  bool overflow_ = false;
  std::string text_;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_BOUNDED_READER_H_

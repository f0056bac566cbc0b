// SPDX-License-Identifier: AGPL-3.0-only
// GzipSource: octets of a gzip stream from a descriptor, under limits, with the trailer (CRC and
// length) checked: an archive that was cut off in transit never counts as whole. One thread.
#ifndef AUSPEX_RUNNERD_UNPACK_GZIP_SOURCE_H_
#define AUSPEX_RUNNERD_UNPACK_GZIP_SOURCE_H_

#include <zlib.h>

#include <cstdint>
#include <string>

#include "runnerd/unpack/unpack.h"

namespace auspex::runnerd {

class GzipSource {
 public:
  GzipSource(int fd, const UnpackLimits& limits);
  ~GzipSource();
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;

  // As TarReader::Source. 0 only after a good trailer with nothing behind it.
  int64_t Read(char* buffer, size_t size);
  // Set once Read has returned a negative number.
  UnpackResult::Outcome outcome() const { return outcome_; }
  const std::string& error() const { return error_; }

 private:
  int64_t Fail(UnpackResult::Outcome outcome, std::string why);
  // False at the end of the input or on an error (then outcome_ is set).
  bool Refill();

  int fd_;
  const UnpackLimits& limits_;
  z_stream stream_{};
  bool ready_ = false, finished_ = false, failed_ = false;
  uint64_t compressed_ = 0, unpacked_ = 0;
  UnpackResult::Outcome outcome_ = UnpackResult::Outcome::kOk;
  std::string error_;
  unsigned char input_[32 * 1024];
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_UNPACK_GZIP_SOURCE_H_

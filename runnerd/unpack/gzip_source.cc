// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/unpack/gzip_source.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace auspex::runnerd {
namespace {
using Outcome = UnpackResult::Outcome;
constexpr int kGzipOnly = 16 + MAX_WBITS;
constexpr uint64_t kRatioFrom = 1 << 20;
}  // namespace

GzipSource::GzipSource(int fd, const UnpackLimits& limits) : fd_(fd), limits_(limits) {
  ready_ = inflateInit2(&stream_, kGzipOnly) == Z_OK;
}

GzipSource::~GzipSource() {
  if (ready_) inflateEnd(&stream_);
}

int64_t GzipSource::Fail(Outcome outcome, std::string why) {
  failed_ = true;
  outcome_ = outcome;
  error_ = std::move(why);
  return -1;
}

bool GzipSource::Refill() {
  ssize_t n;
  do {
    n = read(fd_, input_, sizeof input_);
  } while (n < 0 && errno == EINTR);
  if (n < 0) {
    Fail(Outcome::kFailed, std::string("reading the archive: ") + strerror(errno));
    return false;
  }
  if (n == 0) return false;
  compressed_ += static_cast<uint64_t>(n);
  if (compressed_ > limits_.compressed_octets) {
    Fail(Outcome::kUnsafe,
         "the archive is larger than " + std::to_string(limits_.compressed_octets) + " octets");
    return false;
  }
  stream_.next_in = input_;
  stream_.avail_in = static_cast<unsigned>(n);
  return true;
}

int64_t GzipSource::Read(char* buffer, size_t size) {
  if (failed_) return -1;
  if (!ready_) return Fail(Outcome::kFailed, "zlib could not be started");
  if (finished_) return 0;
  stream_.next_out = reinterpret_cast<unsigned char*>(buffer);
  stream_.avail_out = static_cast<unsigned>(std::min<size_t>(size, 1 << 20));
  const unsigned room = stream_.avail_out;
  while (stream_.avail_out == room) {
    if (stream_.avail_in == 0 && !Refill()) {
      return failed_ ? -1 : Fail(Outcome::kUnreadable, "the gzip stream is cut off");
    }
    int code = inflate(&stream_, Z_NO_FLUSH);
    if (code == Z_STREAM_END) {  // CRC and length were compared
      finished_ = true;
      if (stream_.avail_in > 0 || Refill())
        return Fail(Outcome::kUnreadable, "octets follow the gzip stream");
      if (failed_) return -1;
      break;
    }
    if (code != Z_OK && code != Z_BUF_ERROR) {
      return Fail(Outcome::kUnreadable,
                  std::string("gzip: ") + (stream_.msg != nullptr ? stream_.msg : "damaged"));
    }
  }
  const uint64_t made = room - stream_.avail_out;
  unpacked_ += made;
  if (unpacked_ > limits_.unpacked_octets + limits_.members * 2048) {
    return Fail(Outcome::kUnsafe,
                "it unpacks to more than " + std::to_string(limits_.unpacked_octets) + " octets");
  }
  if (unpacked_ > kRatioFrom && unpacked_ / limits_.ratio > compressed_) {
    return Fail(Outcome::kUnsafe,
                "it unpacks to more than " + std::to_string(limits_.ratio) + " times its size");
  }
  return static_cast<int64_t>(made);
}

}  // namespace auspex::runnerd

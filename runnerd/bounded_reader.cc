// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/bounded_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/errno_status.h"

namespace auspex::runnerd {
namespace {

// Reads until the pipe is empty or `rounds` are over, and hands each piece to `take`. False at the
// end of the stream.
template <typename Take>
bool ReadSome(int fd, int rounds, Take take) {
  char buffer[64 * 1024];
  while (rounds > 0) {
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    if (n == 0) return false;
    take(std::string_view(buffer, static_cast<size_t>(n)));
    --rounds;
  }
  return true;
}

}  // namespace

absl::StatusOr<Pipe> Pipe::Make() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "make", "pipe");
  Pipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) return ErrnoStatus(errno, "fcntl", "pipe");
  return pipe;
}

bool DrainInto(int fd, const std::function<void(std::string_view)>& take) {
  return ReadSome(fd, 64, take);
}

bool TailReader::Drain(int fd, int rounds) {
  return ReadSome(fd, rounds, [this](std::string_view piece) {
    if (piece.size() >= keep_) {
      text_ = piece.substr(piece.size() - keep_);
      return;
    }
    if (text_.size() + piece.size() > keep_) text_.erase(0, text_.size() + piece.size() - keep_);
    text_ += piece;
  });
}

std::string TailReader::Tail() const {
  size_t begin = 0;
  if (text_.size() == keep_) {
    const size_t line = text_.find('\n');
    if (line != std::string::npos && line + 1 < text_.size()) begin = line + 1;
  }
  size_t end = text_.size();
  while (end > begin && (text_[end - 1] == '\n' || text_[end - 1] == '\r' || text_[end - 1] == ' '))
    --end;
  return text_.substr(begin, end - begin);
}

bool BoundedReader::Drain(int fd, int rounds) {
  return ReadSome(fd, rounds, [this](std::string_view piece) {
    if (overflow_ || text_.size() + piece.size() > limit_) {
      overflow_ = true;
      text_.clear();
      return;
    }
    text_ += piece;
  });
}

}  // namespace auspex::runnerd

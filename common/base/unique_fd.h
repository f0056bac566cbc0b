// SPDX-License-Identifier: AGPL-3.0-only
// UniqueFd: the one owner type for file descriptors. Move-only; closes on destruction. Not thread-safe.
#ifndef AUSPEX_COMMON_BASE_UNIQUE_FD_H_
#define AUSPEX_COMMON_BASE_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace auspex {

class UniqueFd {
 public:
  UniqueFd() = default;
  // Takes ownership of `fd`; a negative value means "none".
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(std::exchange(other.fd_, -1));
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { Reset(); }

  // The descriptor, still owned by this object; -1 when there is none.
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  explicit operator bool() const { return valid(); }

  // Gives the descriptor up without closing it.
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }
  // Closes what is held and takes `fd`.
  void Reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_BASE_UNIQUE_FD_H_

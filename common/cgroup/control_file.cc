// SPDX-License-Identifier: AGPL-3.0-only
#include "common/cgroup/control_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "common/base/errno_status.h"
#include "common/base/unique_fd.h"

namespace auspex {
namespace {
constexpr size_t kMaxOctets = 1 << 20;
}  // namespace

absl::Status WriteControl(int folder, const char* name, std::string_view text, int* error) {
  if (error != nullptr) *error = 0;
  const UniqueFd file(openat(folder, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file && write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()))
    return absl::OkStatus();
  if (error != nullptr) *error = errno;
  return ErrnoStatus(errno, "write", name);
}

absl::StatusOr<std::string> ReadControl(int folder, const char* name) {
  const UniqueFd file(openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return ErrnoStatus(errno, "open", name);
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t n = read(file.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoStatus(errno, "read", name);
    if (n == 0) return text;
    if (text.size() + static_cast<size_t>(n) > kMaxOctets) return ErrnoStatus(EFBIG, "read", name);
    text.append(buffer, static_cast<size_t>(n));
  }
}

bool HasControl(int folder, const char* name) { return faccessat(folder, name, F_OK, 0) == 0; }

std::optional<uint64_t> KeyedValue(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() + (line.size() < text.size() ? 1 : 0));
    if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != ' ') continue;
    line.remove_prefix(key.size() + 1);
    uint64_t value = 0;
    auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    if (error != std::errc() || end != line.data() + line.size()) return std::nullopt;
    return value;
  }
  return std::nullopt;
}

std::vector<std::string> Words(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const size_t end = text.find_first_of(" \t\n");
    if (end != 0) words.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return words;
}

}  // namespace auspex

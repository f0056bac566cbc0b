// SPDX-License-Identifier: AGPL-3.0-only
#include "runnerd/escape/attempt.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace auspex::escape {

std::string Targets::Get(std::string_view name) const {
  const std::string key = "\"" + std::string(name) + "\":\"";
  const size_t at = input_.find(key);
  if (at == std::string::npos) return "";
  const size_t begin = at + key.size();
  return input_.substr(begin, input_.find_first_of("\"\\", begin) - begin);
}

std::string ErrnoName(int error) {
  const char* name = strerrorname_np(error);
  return name == nullptr ? "errno-" + std::to_string(error) : name;
}

std::string Outcome(bool worked) { return worked ? "worked" : ErrnoName(errno); }

std::string Call(long number, long a, long b, long c, long d, long e, long f) {
  return Outcome(syscall(number, a, b, c, d, e, f) >= 0);
}

bool WriteOutput(const std::string& path, std::string_view text) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return false;
  while (!text.empty()) {
    const ssize_t n = write(file, text.data(), text.size());
    if (n <= 0) return false;
    text.remove_prefix(static_cast<size_t>(n));
  }
  return close(file) == 0;
}

}  // namespace auspex::escape

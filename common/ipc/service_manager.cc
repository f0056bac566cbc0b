// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/service_manager.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "common/base/cat.h"

namespace auspex {
namespace {

constexpr int64_t kStatusEveryMs = 5000;
constexpr size_t kMaxStatusOctets = 200;

// The number that the variable `name` holds; 0: none.
int64_t NumberFrom(const char* name) {
  const char* text = std::getenv(name);
  int64_t value = 0;
  if (text != nullptr) std::from_chars(text, text + std::strlen(text), value);
  return value;
}

}  // namespace

ServiceManager ServiceManager::FromEnvironment() {
  ServiceManager manager;
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || path[0] == '\0') return manager;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t length = std::strlen(path);
  if (length >= sizeof address.sun_path) return manager;
  std::memcpy(address.sun_path, path, length);
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // abstract
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                       static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length)) != 0) {
    return manager;
  }
  // A service manager that does not read holds a daemon up no longer than that.
  const timeval patience{1, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  manager.fd_ = std::move(fd);
  const int64_t pid = NumberFrom("WATCHDOG_PID");
  if (pid == 0 || pid == ::getpid())
    manager.watchdog_ms_ = std::max<int64_t>(NumberFrom("WATCHDOG_USEC"), 0) / 1000;
  return manager;
}

void ServiceManager::Tell(std::string_view lines) const {
  if (fd_) ::send(fd_.get(), lines.data(), lines.size(), MSG_NOSIGNAL);
}

void ServiceManager::TellStatus(std::string_view text) {
  std::string line(text.substr(0, kMaxStatusOctets));
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  if (line == told_) return;
  Tell(Cat("STATUS=", line));
  told_ = std::move(line);
}

int ServiceManager::PatienceMs() const {
  if (!fd_) return -1;
  if (watchdog_ms_ == 0) return static_cast<int>(kStatusEveryMs);
  return static_cast<int>(std::clamp<int64_t>(watchdog_ms_ / 2, 1, kStatusEveryMs));
}

void ServiceManager::Ping(const std::function<std::string()>& status_text) {
  if (watchdog_ms_ > 0) Tell("WATCHDOG=1");
  if (status_text) TellStatus(status_text());
}

}  // namespace auspex

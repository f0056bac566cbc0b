// SPDX-License-Identifier: AGPL-3.0-only
#include "common/ipc/role_door.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "common/base/cat.h"
#include "common/log/log.h"

namespace auspex {
namespace {

constexpr size_t kMaxOctets = 512;
constexpr std::string_view kEnd = "\r\n\r\n";
constexpr std::string_view kHeader = "\r\nAuspex-Role-Key: ";
constexpr std::string_view kWelcome = "HTTP/1.0 200 OK\r\n\r\n";

// In a time that depends on the lengths alone.
bool SameSecret(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  volatile unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  }
  return difference == 0;
}

// What follows the header's name, up to the end of the line; empty when there is no such header.
std::string_view SaidKey(std::string_view said) {
  const size_t at = said.find(kHeader);
  if (at == std::string_view::npos) return "";
  said.remove_prefix(at + kHeader.size());
  return said.substr(0, said.find('\r'));
}

void Say(int fd, std::string_view words) {
  // A few octets into an empty buffer; a peer that is gone needs no answer.
  [[maybe_unused]] const ssize_t sent =
      ::send(fd, words.data(), words.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace

void RoleDoor::Take(UniqueFd fd, Peer peer, const LetIn& let_in) {
  if (key_.empty()) {
    let_in(std::move(fd), peer);
    return;
  }
  if (waiting_.size() >= kMaxWaiting) {
    Refuse(waiting_.front(), "too many connections that say nothing");
    waiting_.pop_front();
  }
  waiting_.push_back({std::move(fd), std::move(peer),
                      std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs),
                      ""});
}

int RoleDoor::AddTo(std::vector<pollfd>& waits) const {
  if (waiting_.empty()) return -1;
  for (const Waiting& waiting : waiting_) waits.push_back({waiting.fd.get(), POLLIN, 0});
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      waiting_.front().until - std::chrono::steady_clock::now());
  return static_cast<int>(std::max<int64_t>(left.count(), 0)) + 1;
}

void RoleDoor::Look(const LetIn& let_in) {
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    const Verdict verdict = Hear(*at);
    if (verdict == Verdict::kWait && std::chrono::steady_clock::now() < at->until) {
      ++at;
      continue;
    }
    if (verdict == Verdict::kLetIn) {
      Say(at->fd.get(), kWelcome);
      let_in(std::move(at->fd), at->peer);
    } else if (verdict != Verdict::kGone) {
      Refuse(*at, verdict == Verdict::kWait ? "said no role key in time"
                                            : "the role key is missing or wrong");
    }
    at = waiting_.erase(at);
  }
}

RoleDoor::Verdict RoleDoor::Hear(Waiting& waiting) const {
  char octets[kMaxOctets];
  const ssize_t got =
      ::recv(waiting.fd.get(), octets, kMaxOctets - waiting.said.size(), MSG_DONTWAIT);
  if (got < 0) {
    return errno == EAGAIN || errno == EINTR ? Verdict::kWait : Verdict::kRefuse;
  }
  if (got == 0) {
    // One that only looked whether somebody listens is no news.
    return waiting.said.empty() ? Verdict::kGone : Verdict::kRefuse;
  }
  waiting.said.append(octets, static_cast<size_t>(got));
  const size_t end = waiting.said.find(kEnd);
  if (end == std::string::npos)
    return waiting.said.size() < kMaxOctets ? Verdict::kWait : Verdict::kRefuse;
  // Nothing may follow: gRPC would never see what was read here.
  if (end + kEnd.size() != waiting.said.size()) return Verdict::kRefuse;
  return SameSecret(SaidKey(waiting.said), key_) ? Verdict::kLetIn : Verdict::kRefuse;
}

void RoleDoor::Refuse(const Waiting& waiting, std::string_view reason) const {
  Say(waiting.fd.get(), Cat("HTTP/1.0 401 ", role_, ": ", reason, "\r\n\r\n"));
  LogWarning("peer_refused", {{"role", role_}, {"pid", waiting.peer.pid}, {"reason", reason}});
}

}  // namespace auspex

// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/e2e/hostile_coordinator.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <regex>

namespace auspex::e2e {
namespace {

using Json = nlohmann::json;

constexpr char kWorker[] = "wkr-AAAAAAAAAAAA";

std::string UnitOf(const std::string& target) {
  const size_t start = target.find("/assignments/") + 13;
  return target.substr(start, target.find('/', start) - start);
}

Json WorkerView() {
  return {{"worker_id", kWorker}, {"trust_tier", 0}, {"registered_at", "2026-01-01T00:00:00Z"}};
}

}  // namespace

bool HostileCoordinator::Line::Send(const std::string& octets) {
  size_t sent = 0;
  while (sent < octets.size()) {
    if (stop_) return false;
    pollfd wait = {fd_, POLLOUT, 0};
    if (::poll(&wait, 1, 100) == 0) continue;
    const ssize_t n =
        ::send(fd_, octets.data() + sent, octets.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) continue;
    if (n <= 0) return false;
    sent += static_cast<size_t>(n);
  }
  return true;
}

bool HostileCoordinator::Line::Answer(int status, const std::string& body,
                                      const std::string& more_headers) {
  return Send("HTTP/1.1 " + std::to_string(status) +
              " Word\r\nContent-Type: application/json\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n" + more_headers + "\r\n" + body);
}

bool HostileCoordinator::Line::Pause(int ms) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
  while (std::chrono::steady_clock::now() < end) {
    pollfd wait = {fd_, POLLIN | POLLRDHUP, 0};
    if (stop_) return false;
    if (::poll(&wait, 1, 20) > 0 && (wait.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0)
      return false;
  }
  return true;
}

HostileCoordinator::HostileCoordinator() {
  listen_fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  (void)::bind(listen_fd_, reinterpret_cast<sockaddr*>(&address), sizeof address);
  (void)::listen(listen_fd_, 64);
  socklen_t size = sizeof address;
  (void)::getsockname(listen_fd_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] {
    while (!stop_) {
      pollfd wait = {listen_fd_, POLLIN, 0};
      if (::poll(&wait, 1, 50) <= 0) continue;
      const int fd = ::accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      const std::lock_guard lock(mutex_);
      threads_.emplace_back([this, fd] { Serve(fd); });
    }
  });
}

HostileCoordinator::~HostileCoordinator() {
  stop_ = true;
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
  ::close(listen_fd_);
}

void HostileCoordinator::Attack(const std::string& kind, Handler handler, int times) {
  const std::lock_guard lock(mutex_);
  attacks_[kind] = {std::move(handler), times};
}

int HostileCoordinator::AttacksLeft(const std::string& kind) const {
  const std::lock_guard lock(mutex_);
  const auto found = attacks_.find(kind);
  return found == attacks_.end() ? 0 : found->second.second;
}

Json HostileCoordinator::Assignment(const std::string& unit_id, const Json& payload,
                                    const std::string& manifest_sha256) {
  return {{"assignment_id", "asg-" + unit_id},
          {"assigned_at", "2026-01-01T00:00:00.000001Z"},
          {"experiment_id", "exp-" + manifest_sha256.substr(0, 8)},
          {"idle_reason", nullptr},
          {"work_unit",
           {{"schema_version", "0.1"},
            {"unit_id", unit_id},
            {"tenant_id", "hostile-lab"},
            {"experiment_id", "hostile-one"},
            {"manifest_sha256", manifest_sha256},
            {"created_at", "2026-01-01T00:00:00Z"},
            {"payload", payload}}}};
}

void HostileCoordinator::Offer(const std::string& unit_id, const Json& payload, int times,
                               const std::string& manifest_sha256) {
  const std::lock_guard lock(mutex_);
  for (int i = 0; i < times; ++i) offers_.push_back(Assignment(unit_id, payload, manifest_sha256));
}

int HostileCoordinator::Count(const std::string& kind) const {
  const std::lock_guard lock(mutex_);
  const auto found = counts_.find(kind);
  return found == counts_.end() ? 0 : found->second;
}

std::map<std::string, std::vector<std::string>> HostileCoordinator::Results() const {
  const std::lock_guard lock(mutex_);
  return results_;
}

std::map<std::string, std::vector<std::string>> HostileCoordinator::Refusals() const {
  const std::lock_guard lock(mutex_);
  return refusals_;
}

std::vector<std::string> HostileCoordinator::Unexpected() const {
  const std::lock_guard lock(mutex_);
  return unexpected_;
}

std::string HostileCoordinator::KindOf(const Request& request) const {
  static const auto* kinds = new std::vector<std::pair<std::string, std::regex>>{
      {"enroll", std::regex("POST /api/v0/workers/enroll")},
      {"heartbeat", std::regex("POST /api/v0/workers/wkr-A{12}/heartbeat")},
      {"poll", std::regex("GET /api/v0/workers/wkr-A{12}/assignments")},
      {"result",
       std::regex("POST /api/v0/workers/wkr-A{12}/assignments/[a-zA-Z0-9_-]{1,128}/result")},
      {"refuse",
       std::regex("POST /api/v0/workers/wkr-A{12}/assignments/[a-zA-Z0-9_-]{1,128}/refuse")},
      {"receipt",
       std::regex(
           "GET /api/v0/workers/wkr-A{12}/results/res-[a-zA-Z0-9_-]{1,64}/canonical-receipt")},
      {"package", std::regex("GET /api/v0/packages/by-manifest/[0-9a-f]{64}")},
  };
  const std::string line = request.method + " " + request.target;
  for (const auto& [kind, pattern] : *kinds) {
    if (!std::regex_match(line, pattern)) continue;
    // Everything but the enrolment is signed, with the key and for this host.
    const bool is_signed =
        request.headers.contains("signature") && request.headers.contains("signature-input");
    return (kind == "enroll") != is_signed ? kind : "unexpected";
  }
  return "unexpected";
}

void HostileCoordinator::AnswerHonestly(const std::string& kind, const Request& request,
                                        Line& line) {
  const std::string unit = UnitOf(request.target);
  if (kind == "enroll") {
    line.Answer(201, WorkerView().dump());
  } else if (kind == "heartbeat") {
    line.Answer(200, WorkerView().dump());
  } else if (kind == "poll") {
    Json answer = {{"assignment_id", nullptr},
                   {"assigned_at", nullptr},
                   {"experiment_id", nullptr},
                   {"work_unit", nullptr},
                   {"idle_reason", nullptr}};
    {
      const std::lock_guard lock(mutex_);
      if (!offers_.empty()) {
        answer = offers_.front();
        offers_.erase(offers_.begin());
      }
    }
    line.Answer(200, answer.dump());
  } else if (kind == "result") {
    {
      const std::lock_guard lock(mutex_);
      results_[unit].push_back(request.body);
    }
    line.Answer(201, Json{{"result_id", "res-" + unit.substr(0, 64)},
                          {"unit_id", unit},
                          {"unit_status_after", "completed"},
                          {"completions_so_far", 1},
                          {"replication_target", 1}}
                         .dump());
  } else if (kind == "refuse") {
    {
      const std::lock_guard lock(mutex_);
      refusals_[unit].push_back(request.body);
    }
    line.Answer(200, Json{{"assignment_id", "asg-" + unit}, {"unit_id", unit}}.dump());
  } else {
    line.Answer(
        404,
        R"({"detail":{"error":{"code":"receipt_not_issued","message":"not yet","details":{}}}})");
  }
}

bool HostileCoordinator::ReadRequest(int fd, std::string& buffer, Request& request) {
  const auto more = [&] {
    char octets[16384];
    for (;;) {
      if (stop_) return false;
      pollfd wait = {fd, POLLIN, 0};
      if (::poll(&wait, 1, 50) == 0) continue;
      const ssize_t n = ::recv(fd, octets, sizeof octets, 0);
      if (n <= 0) return false;
      buffer.append(octets, static_cast<size_t>(n));
      return true;
    }
  };
  size_t end;
  while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
    if (!more()) return false;
  }
  const std::string head = buffer.substr(0, end + 2);
  buffer.erase(0, end + 4);
  request = {};
  const size_t first = head.find(' '), second = head.find(' ', first + 1);
  request.method = head.substr(0, first);
  request.target = head.substr(first + 1, second - first - 1);
  for (size_t at = head.find("\r\n") + 2; at < head.size();) {
    const size_t stop = head.find("\r\n", at), colon = head.find(": ", at);
    std::string name = head.substr(at, colon - at);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    if (colon < stop) request.headers[name] = head.substr(colon + 2, stop - colon - 2);
    at = stop + 2;
  }
  const size_t length = static_cast<size_t>(std::atol(request.headers["content-length"].c_str()));
  while (buffer.size() < length) {
    if (!more()) return false;
  }
  request.body = buffer.substr(0, length);
  buffer.erase(0, length);
  return true;
}

void HostileCoordinator::Serve(int fd) {
  std::string buffer;
  Request request;
  while (ReadRequest(fd, buffer, request)) {
    const std::string kind = KindOf(request);
    Handler attack;
    {
      const std::lock_guard lock(mutex_);
      ++counts_[kind];
      if (kind == "unexpected") unexpected_.push_back(request.method + " " + request.target);
      auto& [handler, left] = attacks_[kind];
      if (left > 0) {
        --left;
        attack = handler;
      }
    }
    Line line(fd, stop_);
    if (attack) {
      attack(request, line);
      break;
    }
    AnswerHonestly(kind, request, line);
  }
  ::shutdown(fd, SHUT_RDWR);
  ::close(fd);
}

}  // namespace auspex::e2e

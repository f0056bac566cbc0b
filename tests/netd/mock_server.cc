// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/netd/mock_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "common/base/cat.h"

namespace auspex::testing {

bool MockWire::Send(std::string_view octets) {
  while (!octets.empty()) {
    const ssize_t sent = ::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL);
    if (sent <= 0) {
      closed_ = true;
      return false;
    }
    octets.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

void MockWire::Reply(int status, std::string_view body,
                     const std::vector<std::pair<std::string, std::string>>& headers) {
  std::string head = Cat("HTTP/1.1 ", status, " Whatever\r\nContent-Length: ", body.size(), "\r\n");
  for (const auto& [name, value] : headers) head += Cat(name, ": ", value, "\r\n");
  Send(Cat(head, "\r\n", body));
}

void MockWire::WaitForClose() {
  char octet;
  while (::recv(fd_, &octet, 1, 0) > 0) {
  }
  closed_ = true;
}

MockServer::MockServer(Handler handler) : handler_(std::move(handler)) {
  listener_.Reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener_.get(), 64) != 0 ||
      ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

MockServer::~MockServer() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    for (int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  changed_.notify_all();
  ::shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  for (std::thread& thread : threads_) thread.join();
}

void MockServer::Accept() {
  while (true) {
    const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    std::lock_guard lock(mutex_);
    if (fd < 0 || stopping_) {
      if (fd >= 0) ::close(fd);
      return;
    }
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    open_.push_back(fd);
    threads_.emplace_back([this, fd, number = ++connections_] { Serve(fd, number); });
  }
}

void MockServer::Serve(int fd, int number) {
  std::string buffer;
  const auto more = [&] {
    char chunk[65536];
    const ssize_t got = ::recv(fd, chunk, sizeof chunk, 0);
    if (got > 0) buffer.append(chunk, static_cast<size_t>(got));
    return got > 0;
  };
  MockWire wire(fd);
  while (!wire.closed()) {
    size_t end;
    bool alive = true;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos && (alive = more())) {
    }
    if (!alive) break;
    MockRequest request{.connection = number};
    const std::string head = buffer.substr(0, end + 2);
    buffer.erase(0, end + 4);
    size_t line = head.find("\r\n");
    const std::string first = head.substr(0, line);
    request.method = first.substr(0, first.find(' '));
    request.target =
        first.substr(request.method.size() + 1, first.rfind(' ') - request.method.size() - 1);
    while (line + 2 < head.size()) {
      const size_t next = head.find("\r\n", line + 2);
      const std::string header = head.substr(line + 2, next - line - 2);
      std::string name = header.substr(0, header.find(':'));
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return std::tolower(c); });
      const size_t value = header.find_first_not_of(' ', name.size() + 1);
      request.headers[name] = value == std::string::npos ? "" : header.substr(value);
      line = next;
    }
    const size_t length = request.headers.contains("content-length")
                              ? std::stoul(request.headers["content-length"])
                              : 0;
    while (buffer.size() < length && (alive = more())) {
    }
    if (!alive) break;
    request.body = buffer.substr(0, length);
    buffer.erase(0, length);
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    changed_.notify_all();
    handler_(request, wire);
  }
  std::lock_guard lock(mutex_);
  std::erase(open_, fd);
  ::close(fd);
}

std::vector<MockRequest> MockServer::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

int MockServer::Count(std::string_view suffix) const {
  std::lock_guard lock(mutex_);
  return static_cast<int>(
      std::count_if(requests_.begin(), requests_.end(),
                    [&](const MockRequest& r) { return r.target.ends_with(suffix); }));
}

bool MockServer::WaitFor(std::string_view suffix, int count) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(20), [&] {
    return std::count_if(requests_.begin(), requests_.end(),
                         [&](const MockRequest& r) { return r.target.ends_with(suffix); }) >= count;
  });
}

int MockServer::connections() const {
  std::lock_guard lock(mutex_);
  return connections_;
}

}  // namespace auspex::testing

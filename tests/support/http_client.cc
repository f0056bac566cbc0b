// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/support/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

namespace auspex::testing {
namespace {

constexpr int kPatienceSeconds = 20;

std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace

HttpConnection::HttpConnection(int port) : authority_("127.0.0.1:" + std::to_string(port)) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{.tv_sec = kPatienceSeconds, .tv_usec = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) Close();
}

HttpConnection::~HttpConnection() { Close(); }

void HttpConnection::Close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

bool HttpConnection::Send(std::string_view octets) {
  while (!octets.empty()) {
    const ssize_t n = ::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    octets.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

bool HttpConnection::ReadMore() {
  char buffer[64 * 1024];
  const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
  closed_ = n == 0 || (n < 0 && errno == ECONNRESET);
  if (n <= 0) return false;
  pending_.append(buffer, static_cast<size_t>(n));
  return true;
}

HttpAnswer HttpConnection::Receive() {
  HttpAnswer out;
  size_t end = 0;
  while ((end = pending_.find("\r\n\r\n")) == std::string::npos) {
    if (!ReadMore()) return out;
  }
  const std::string head = pending_.substr(0, end + 2);
  pending_.erase(0, end + 4);
  const int status = std::atoi(head.substr(head.find(' ') + 1, 3).c_str());
  for (size_t at = head.find("\r\n") + 2; at < head.size();) {
    const size_t line_end = head.find("\r\n", at);
    const std::string line = head.substr(at, line_end - at);
    const size_t colon = line.find(": ");
    if (colon != std::string::npos)
      out.headers[Lower(line.substr(0, colon))] = line.substr(colon + 2);
    at = line_end + 2;
  }
  if (status == 100) return Receive();
  const auto length = out.headers.find("content-length");
  const size_t want =
      length == out.headers.end() ? 0 : std::strtoull(length->second.c_str(), nullptr, 10);
  while (pending_.size() < want) {
    if (!ReadMore()) return out;
  }
  out.body = pending_.substr(0, want);
  pending_.erase(0, want);
  out.status = status;
  return out;
}

std::optional<std::string> HttpConnection::ReceiveUntilClosed() {
  while (ReadMore()) {
  }
  if (!closed_) return std::nullopt;
  return pending_;
}

HttpAnswer HttpConnection::Call(const std::string& method, const std::string& target,
                                const HeaderList& headers, const std::string& body) {
  std::string text = method + " " + target + " HTTP/1.1\r\nHost: " + authority_ + "\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  if (!body.empty() || method == "POST")
    text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  // A refusal may come before the body is through; what the server said still counts.
  Send(text + "\r\n" + body);
  return Receive();
}

HttpAnswer HttpCall(int port, const std::string& method, const std::string& target,
                    const HeaderList& headers, const std::string& body) {
  return HttpConnection(port).Call(method, target, headers, body);
}

}  // namespace auspex::testing

// SPDX-License-Identifier: AGPL-3.0-only
// MockServer: a small HTTP/1.1 server on 127.0.0.1 that does what a test tells it, lies and silence
// included. One thread a connection. The handler is called on those threads and must be safe from
// them. Every request that was read is kept.
#ifndef AUSPEX_TESTS_NETD_MOCK_SERVER_H_
#define AUSPEX_TESTS_NETD_MOCK_SERVER_H_

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/unique_fd.h"

namespace auspex::testing {

struct MockRequest {
  std::string method, target, body;
  std::map<std::string, std::string> headers;  // lower-case names
  int connection = 0;                          // 1 for the first that was accepted
};

// The wire under a handler's feet.
class MockWire {
 public:
  explicit MockWire(int fd) : fd_(fd) {}
  // False once the client has gone away.
  bool Send(std::string_view octets);
  // A whole answer with Content-Length.
  void Reply(int status, std::string_view body,
             const std::vector<std::pair<std::string, std::string>>& headers = {});
  // Blocks until the client closes its end (or the server stops).
  void WaitForClose();
  // Closes the connection after the handler.
  void Close() { closed_ = true; }
  bool closed() const { return closed_; }

 private:
  const int fd_;
  bool closed_ = false;
};

class MockServer {
 public:
  using Handler = std::function<void(const MockRequest&, MockWire&)>;
  explicit MockServer(Handler handler);
  ~MockServer();

  uint16_t port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::vector<MockRequest> requests() const;
  // How many requests were made whose target ends in `suffix`.
  int Count(std::string_view suffix) const;
  // Waits (at most 20 s) until `Count(suffix) >= count`.
  bool WaitFor(std::string_view suffix, int count) const;
  int connections() const;

 private:
  void Accept();
  void Serve(int fd, int number);

  const Handler handler_;
  UniqueFd listener_;
  uint16_t port_ = 0;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<MockRequest> requests_;
  std::vector<int> open_;
  bool stopping_ = false;
  int connections_ = 0;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace auspex::testing

#endif  // AUSPEX_TESTS_NETD_MOCK_SERVER_H_

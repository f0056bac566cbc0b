// SPDX-License-Identifier: AGPL-3.0-only
// HttpConnection: a small blocking HTTP/1.1 client over a plain loopback socket, which sends
// exactly the octets that a test wants. Every wait is bounded (20 s). Not thread-safe.
#ifndef AUSPEX_TESTS_SUPPORT_HTTP_CLIENT_H_
#define AUSPEX_TESTS_SUPPORT_HTTP_CLIENT_H_

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace auspex::testing {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

struct HttpAnswer {
  int status = 0;                              // 0: no answer (closed, or timed out)
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

class HttpConnection {
 public:
  // Connects to 127.0.0.1:port; connected() tells whether it worked.
  explicit HttpConnection(int port);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  bool connected() const { return fd_ >= 0; }
  // Raw octets; false when the peer closed.
  bool Send(std::string_view octets);
  // Reads one answer (Content-Length framed).
  HttpAnswer Receive();
  // Waits until the peer closes; what it sent before. nullopt when it does not close.
  std::optional<std::string> ReceiveUntilClosed();
  // A request with Host and, for a body, Content-Length added; then Receive.
  HttpAnswer Call(const std::string& method, const std::string& target,
                  const HeaderList& headers = {}, const std::string& body = "");
  // "127.0.0.1:port"
  const std::string& authority() const { return authority_; }
  void Close();

 private:
  // Appends what arrives; false on close, error or timeout.
  bool ReadMore();
  int fd_ = -1;
  std::string authority_, pending_;
  bool closed_ = false;
};

// One call on a connection of its own.
HttpAnswer HttpCall(int port, const std::string& method, const std::string& target,
                    const HeaderList& headers = {}, const std::string& body = "");

}  // namespace auspex::testing

#endif  // AUSPEX_TESTS_SUPPORT_HTTP_CLIENT_H_

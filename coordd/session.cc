// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/session.h"

#include <algorithm>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <chrono>

#include "common/log/log.h"
#include "coordd/reply.h"

namespace auspex::coordd {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace net = boost::asio;
using boost::system::error_code;
using std::chrono::seconds;

constexpr uint32_t kMaxHeaderOctets = 16 * 1024;
constexpr size_t kSlowestOctetsPerSecond = 64 * 1024;
// A held poll looks again this often even when nobody woke it: leases run out by time alone.
constexpr auto kRecheck = std::chrono::seconds(2);
// How much of a refused body is still read so that the client gets to see the refusal.
constexpr size_t kLingerOctets = 8 * 1024 * 1024;
constexpr auto kLingerTime = std::chrono::seconds(2);

// Awaits with an error code in place of an exception.
auto Into(error_code& error) { return net::redirect_error(net::use_awaitable, error); }

template <typename Fields>
void CopyHeaders(const Fields& fields, Request& out) {
  for (const auto& field : fields) {
    std::string name(field.name_string());
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    out.headers.emplace_back(std::move(name), std::string(field.value()));
  }
}

template <typename Stream>
class Session {
 public:
  static constexpr bool kTls = !std::is_same_v<Stream, beast::tcp_stream>;

  Session(Stream& stream, SessionShared& shared, std::string remote)
      : stream_(stream), shared_(shared), remote_(std::move(remote)) {}

  net::awaitable<void> Run() {
    for (bool open = true; open;) open = co_await OneExchange();
  }

 private:
  auto& lowest() { return beast::get_lowest_layer(stream_); }
  void Patience(size_t octets) {
    lowest().expires_after(seconds(shared_.client_seconds) +
                           seconds(octets / kSlowestOctetsPerSecond));
  }

  // True when the connection stays open for another request.
  net::awaitable<bool> OneExchange() {
    error_code error;
    if (buffer_.size() == 0) {
      lowest().expires_after(seconds(shared_.idle_seconds));
      const size_t n = co_await stream_.async_read_some(buffer_.prepare(8192), Into(error));
      if (error) co_return false;
      buffer_.commit(n);
    }
    http::request_parser<http::string_body> parser;
    parser.header_limit(kMaxHeaderOctets);
    parser.body_limit(UINT64_MAX);  // the real one is set below, when it is known who is asking
    Patience(0);
    co_await http::async_read_header(stream_, buffer_, parser, Into(error));
    if (error == http::error::header_limit)
      co_return co_await Refuse(431, "Request Header Fields Too Large");
    if (error == http::error::end_of_stream || error == beast::error::timeout) co_return false;
    if (error) {
      if (error.category() != http::make_error_code(http::error::bad_method).category())
        co_return false;
      co_return co_await Refuse(400, "Bad Request");
    }

    Request request;
    request.method = std::string(parser.get().method_string());
    request.target = std::string(parser.get().target());
    request.remote_address = remote_;
    CopyHeaders(parser.get(), request);
    keep_alive_ = parser.keep_alive();

    const size_t limit = shared_.coordinator.BodyLimit(request);
    const auto length = parser.content_length();
    if (length && *length > limit) co_return co_await RefuseBody(limit);
    if (parser.get()[http::field::expect] == "100-continue") {
      static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      co_await net::async_write(stream_, net::buffer(kContinue), Into(error));
      if (error) co_return false;
    }
    parser.body_limit(limit);
    Patience(length ? static_cast<size_t>(*length) : limit);
    co_await http::async_read(stream_, buffer_, parser, Into(error));
    if (error == http::error::body_limit) co_return co_await RefuseBody(limit);
    if (error) co_return false;
    request.body = std::move(parser.get().body());

    Reply reply = shared_.coordinator.Handle(request);
    // co_await stands alone in its statement throughout: GCC 12 miscompiles it inside && and ?:.
    if (reply.again && reply.wait_seconds > 0) {
      const bool still_there = co_await Hold(reply);
      if (!still_there) co_return false;
    }
    const bool durable = co_await shared_.commits.Durable();
    if (!durable) reply = InternalError();
    const bool sent = co_await Send(reply);
    co_return sent&& keep_alive_;
  }

  // Replaces `reply` by the answer of a held poll; false when the client went away.
  net::awaitable<bool> Hold(Reply& reply) {
    const auto again = reply.again;
    const auto deadline = HeldPolls::Clock::now() + seconds(reply.wait_seconds);
    while (reply.again && HeldPolls::Clock::now() < deadline) {
      shared_.commits.Start();  // the try that found nothing must not hold a transaction open
      const auto until = std::min(deadline, HeldPolls::Clock::now() + kRecheck);
      lowest().expires_never();
      const auto woken = co_await shared_.held.Wait(lowest().socket(), kTls, until);
      if (woken == HeldPolls::Woken::kClientGone) co_return false;
      reply = again();
    }
    co_return true;
  }

  net::awaitable<bool> Send(const Reply& reply) {
    http::response<http::span_body<const char>> response;
    response.version(11);
    response.result(static_cast<unsigned>(reply.status));
    response.set(http::field::content_type, reply.content_type);
    response.set("X-Content-Type-Options", "nosniff");
    response.set("X-Frame-Options", "DENY");
    response.set("Referrer-Policy", "no-referrer");
    response.set("Strict-Transport-Security", "max-age=31536000; includeSubDomains");
    for (const auto& [name, value] : reply.headers) response.set(name, value);
    response.keep_alive(keep_alive_);
    response.body() = beast::span<const char>(reply.body.data(), reply.body.size());
    response.prepare_payload();
    Patience(reply.body.size());
    error_code error;
    co_await http::async_write(stream_, response, Into(error));
    co_return !error;
  }

  net::awaitable<bool> Refuse(int status, std::string_view text) {
    const Reply reply = PlainDetail(status, text);
    co_return co_await SendAndClose(reply);
  }

  net::awaitable<bool> RefuseBody(size_t limit) {
    const Reply reply = TooLarge(limit);
    co_return co_await SendAndClose(reply);
  }

  net::awaitable<bool> SendAndClose(const Reply& reply) {
    keep_alive_ = false;
    const bool sent = co_await Send(reply);
    if (sent) co_await Linger();
    co_return false;
  }

  // Reads a little on after a refusal: closing at once with octets unread would reset the
  // connection, and the client might never see why.
  net::awaitable<void> Linger() {
    error_code error;
    if constexpr (!kTls) lowest().socket().shutdown(net::ip::tcp::socket::shutdown_send, error);
    lowest().expires_after(kLingerTime);
    char scratch[16 * 1024];
    for (size_t total = 0; !error && total < kLingerOctets;) {
      const size_t n = co_await stream_.async_read_some(net::buffer(scratch), Into(error));
      total += n;
    }
  }

  Stream& stream_;
  SessionShared& shared_;
  const std::string remote_;
  beast::flat_buffer buffer_;
  bool keep_alive_ = false;
};

}  // namespace

net::awaitable<void> ServePlain(beast::tcp_stream stream, SessionShared& shared,
                                std::string remote) {
  Session session(stream, shared, std::move(remote));
  co_await session.Run();
  error_code ignored;
  stream.socket().shutdown(net::ip::tcp::socket::shutdown_both, ignored);
}

net::awaitable<void> ServeTls(beast::tcp_stream stream, net::ssl::context& tls,
                              SessionShared& shared, std::string remote) {
  beast::ssl_stream<beast::tcp_stream> secure(std::move(stream), tls);
  beast::get_lowest_layer(secure).expires_after(seconds(shared.client_seconds));
  error_code error;
  co_await secure.async_handshake(net::ssl::stream_base::server, Into(error));
  if (error) co_return;
  {
    Session session(secure, shared, std::move(remote));
    co_await session.Run();
  }
  beast::get_lowest_layer(secure).expires_after(seconds(1));
  co_await secure.async_shutdown(Into(error));
}

}  // namespace auspex::coordd

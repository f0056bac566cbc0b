// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <exception>

#include "common/base/cat.h"
#include "common/log/log.h"
#include "coordd/session.h"

namespace auspex::coordd {
namespace {

namespace net = boost::asio;
using boost::system::error_code;
using net::ip::tcp;

constexpr int kMaxConnections = 1024;

absl::Status CheckOptions(const ServerOptions& options, const net::ip::address& address) {
  const bool tls = !options.tls_certificate.empty() || !options.tls_key.empty();
  if (tls && (options.tls_certificate.empty() || options.tls_key.empty())) {
    return absl::InvalidArgumentError("--tls-cert and --tls-key belong together");
  }
  if (address.is_loopback()) return absl::OkStatus();
  if (!options.allow_remote) {
    return absl::InvalidArgumentError(
        Cat("--listen ", options.address, ": not loopback; add --allow-remote to mean it"));
  }
  if (!tls) {
    return absl::InvalidArgumentError(
        Cat("--listen ", options.address,
            ": plain http is served to loopback only; give --tls-cert and --tls-key"));
  }
  return absl::OkStatus();
}

}  // namespace

class Server::Impl {
 public:
  Impl(Coordinator& coordinator, ServerOptions options)
      : coordinator_(coordinator),
        options_(std::move(options)),
        acceptor_(io_),
        tick_(io_),
        signals_(io_, SIGTERM, SIGINT),
        commits_(io_, coordinator),
        shared_{coordinator, commits_, held_, options_.client_seconds, options_.idle_seconds} {}

  absl::Status Bind() {
    error_code error;
    const auto address = net::ip::make_address(options_.address, error);
    if (error)
      return absl::InvalidArgumentError(Cat("--listen ", options_.address, ": not an IP address"));
    if (absl::Status status = CheckOptions(options_, address); !status.ok()) return status;
    if (!options_.tls_certificate.empty()) {
      if (absl::Status status = LoadTls(); !status.ok()) return status;
    }
    const tcp::endpoint endpoint(address, options_.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(net::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(net::socket_base::max_listen_connections, error);
    if (error) {
      return absl::UnavailableError(
          Cat("listen ", options_.address, ":", options_.port, ": ", error.message()));
    }
    return absl::OkStatus();
  }

  uint16_t port() const { return acceptor_.local_endpoint().port(); }

  absl::Status Run() {
    coordinator_.OnWorkChanged([this] { held_.WakeAll(); });
    signals_.async_wait([this](error_code error, int number) {
      if (error) return;
      LogInfo("stopping", {{"signal", number}});
      io_.stop();
    });
    net::co_spawn(io_, Accept(), net::detached);
    net::co_spawn(io_, Tick(), net::detached);
    io_.run();
    coordinator_.OnWorkChanged([] {});
    return coordinator_.Flush();
  }

 private:
  absl::Status LoadTls() {
    try {
      tls_.emplace(net::ssl::context::tls_server);
      tls_->set_options(net::ssl::context::default_workarounds | net::ssl::context::no_tlsv1 |
                        net::ssl::context::no_tlsv1_1);
      tls_->use_certificate_chain_file(options_.tls_certificate);
      tls_->use_private_key_file(options_.tls_key, net::ssl::context::pem);
    } catch (const std::exception& error) {
      return absl::InvalidArgumentError(
          Cat("TLS ", options_.tls_certificate, ", ", options_.tls_key, ": ", error.what()));
    }
    return absl::OkStatus();
  }

  net::awaitable<void> Accept() {
    for (;;) {
      error_code error;
      tcp::socket socket =
          co_await acceptor_.async_accept(net::redirect_error(net::use_awaitable, error));
      if (error) {
        // Out of descriptors, most likely: let some connections end first.
        LogWarning("accept_failed", {{"cause", error.message()}});
        net::steady_timer pause(io_, std::chrono::milliseconds(100));
        co_await pause.async_wait(net::redirect_error(net::use_awaitable, error));
        continue;
      }
      if (connections_ >= kMaxConnections) {
        LogWarning("too_many_connections");
        continue;  // closes it
      }
      socket.set_option(tcp::no_delay(true), error);
      ++connections_;
      const auto peer = socket.remote_endpoint(error);
      net::co_spawn(
          io_, ServeOne(boost::beast::tcp_stream(std::move(socket)), peer.address().to_string()),
          [this](std::exception_ptr failure) {
            --connections_;
            if (failure) LogFailure(failure);
          });
    }
  }

  net::awaitable<void> ServeOne(boost::beast::tcp_stream stream, std::string remote) {
    if (tls_) {
      co_await ServeTls(std::move(stream), *tls_, shared_, std::move(remote));
    } else {
      co_await ServePlain(std::move(stream), shared_, std::move(remote));
    }
  }

  static void LogFailure(const std::exception_ptr& failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      LogWarning("session_failed", {{"cause", error.what()}});
    }
  }

  net::awaitable<void> Tick() {
    for (;;) {
      tick_.expires_after(std::chrono::seconds(1));
      error_code error;
      co_await tick_.async_wait(net::redirect_error(net::use_awaitable, error));
      coordinator_.ExpireSilent();
      commits_.Start();
    }
  }

  Coordinator& coordinator_;
  const ServerOptions options_;
  net::io_context io_{1};
  tcp::acceptor acceptor_;
  net::steady_timer tick_;
  net::signal_set signals_;
  std::optional<net::ssl::context> tls_;
  GroupCommit commits_;
  HeldPolls held_;
  SessionShared shared_;
  int connections_ = 0;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

absl::StatusOr<std::unique_ptr<Server>> Server::Create(Coordinator& coordinator,
                                                       ServerOptions options) {
  auto impl = std::make_unique<Impl>(coordinator, std::move(options));
  if (absl::Status status = impl->Bind(); !status.ok()) return status;
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

uint16_t Server::port() const { return impl_->port(); }
absl::Status Server::Run() { return impl_->Run(); }

}  // namespace auspex::coordd

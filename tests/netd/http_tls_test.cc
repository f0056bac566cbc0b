// SPDX-License-Identifier: AGPL-3.0-only
// HttpClient and TLS: whom it trusts, and what it sends to others.
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <atomic>
#include <csignal>
#include <string>
#include <thread>

#include "common/http/http_client.h"
#include "tests/support/certificate.h"
#include "tests/support/temp_dir.h"

namespace auspex {
namespace {

// One TLS server with a certificate of its own making; answers every connection with 200 and
// closes.
class TlsServer {
 public:
  explicit TlsServer(const char* name) : context_(SSL_CTX_new(TLS_server_method())) {
    // A client that turns away from the certificate closes while the server still writes to it.
    std::signal(SIGPIPE, SIG_IGN);
    testing::MakeCertificate(std::string("IP:") + name, file(), folder_ / "key.pem");
    SSL_CTX_use_certificate_file(context_, file().c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context_, (folder_ / "key.pem").c_str(), SSL_FILETYPE_PEM);
    BIO* listener = BIO_new_accept("127.0.0.1:0");
    BIO_do_accept(listener);
    port_ = BIO_get_accept_port(listener);
    listener_ = listener;
    thread_ = std::thread([this] { Serve(); });
  }
  ~TlsServer() {
    stopping_ = true;
    BIO* poke = BIO_new_connect(("127.0.0.1:" + port_).c_str());
    BIO_do_connect(poke);
    BIO_free_all(poke);
    thread_.join();
    BIO_free_all(listener_);
    SSL_CTX_free(context_);
  }
  BaseUrl base() const { return *BaseUrl::Parse("https://127.0.0.1:" + port_); }
  std::string file() const { return folder_ / "cert.pem"; }
  int answered() const { return answered_; }

 private:
  void Serve() {
    while (BIO_do_accept(listener_) > 0) {
      BIO* peer = BIO_pop(listener_);
      if (!stopping_) {
        SSL* ssl = SSL_new(context_);
        SSL_set_bio(ssl, peer, peer);
        char buffer[4096];
        if (SSL_accept(ssl) == 1 && SSL_read(ssl, buffer, sizeof buffer) > 0) {
          ++answered_;
          constexpr std::string_view kAnswer =
              "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
          SSL_write(ssl, kAnswer.data(), kAnswer.size());
          SSL_shutdown(ssl);
        }
        SSL_free(ssl);
      } else {
        BIO_free_all(peer);
      }
      ERR_clear_error();
      if (stopping_) return;
    }
  }
  SSL_CTX* context_;
  BIO* listener_ = nullptr;
  testing::TempDir folder_;
  std::string port_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> answered_ = 0;
  std::thread thread_;
};

TEST(HttpClient, VerifiesTheChainAndTheName) {
  TlsServer server("127.0.0.1"), wrong_name("127.0.0.9");
  const auto call = [](HttpClient& client, const BaseUrl& base) {
    return client.Call({.method = "GET", .base = base, .target = "/"});
  };
  HttpClient system_only({});
  EXPECT_TRUE(absl::IsUnavailable(call(system_only, server.base()).status()))
      << "a certificate that nobody vouches for";
  EXPECT_EQ(server.answered(), 0) << "nothing is sent before the peer is known";

  HttpClient trusting({.ca_file = server.file()});
  absl::StatusOr<HttpResponse> response = call(trusting, server.base());
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->body, "ok");

  HttpClient trusting_wrong({.ca_file = wrong_name.file()});
  EXPECT_TRUE(absl::IsUnavailable(call(trusting_wrong, wrong_name.base()).status()))
      << "a certificate for another name";
  EXPECT_EQ(wrong_name.answered(), 0);
}

TEST(HttpClient, NamesACaFileThatCannotBeRead) {
  HttpClient client({.ca_file = "/nonexistent/ca.pem"});
  const absl::Status status =
      client.Call({.method = "GET", .base = *BaseUrl::Parse("https://127.0.0.1:1"), .target = "/"})
          .status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_NE(std::string(status.message()).find("/nonexistent/ca.pem"), std::string::npos);
}

}  // namespace
}  // namespace auspex

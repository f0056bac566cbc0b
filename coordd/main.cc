// SPDX-License-Identifier: AGPL-3.0-only
// auspex-coordd: the lab coordinator. Reads flags, prepares the state directory, serves.
#include <sodium/core.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <csignal>
#include <cstdio>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"
#include "common/log/log.h"
#include "coordd/coordinator.h"
#include "coordd/server.h"

namespace auspex::coordd {
namespace {

struct Flags {
  Options coordinator;
  ServerOptions server;
  std::string listen = "127.0.0.1:8450";
  std::string port_file;
  std::string rate_limits = "off";
  std::string idp = "none";
  bool verbose = false;
};

// "ADDRESS:PORT" or "[V6]:PORT".
absl::Status ReadListen(const std::string& text, ServerOptions& out) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return absl::InvalidArgumentError(Cat("--listen ", text, ": not ADDRESS:PORT"));
  }
  out.address = text.substr(0, colon);
  if (out.address.size() > 2 && out.address.front() == '[' && out.address.back() == ']') {
    out.address = out.address.substr(1, out.address.size() - 2);
  }
  const char* begin = text.data() + colon + 1;
  const char* end = text.data() + text.size();
  const auto [last, error] = std::from_chars(begin, end, out.port);
  if (begin == end || error != std::errc() || last != end) {
    return absl::InvalidArgumentError(Cat("--listen ", text, ": not a port"));
  }
  return absl::OkStatus();
}

absl::Status Serve(Flags flags) {
  RETURN_IF_ERROR(ReadListen(flags.listen, flags.server));
  Options& options = flags.coordinator;
  options.rate_limits = flags.rate_limits == "on";
  options.fake_idp = flags.idp == "fake";
  if (options.token_file.empty()) options.token_file = Cat(options.state_dir, "/tokens.json");
  RETURN_IF_ERROR(MakePrivateDirectory(options.state_dir));
  ASSIGN_OR_RETURN(const UniqueFd lock, LockInstance(Cat(options.state_dir, "/lock")));
  ASSIGN_OR_RETURN(const auto coordinator, Coordinator::Open(options, Clock::System()));
  ASSIGN_OR_RETURN(const auto server, Server::Create(*coordinator, flags.server));
  if (!flags.port_file.empty()) {
    RETURN_IF_ERROR(WriteFileAtomically(flags.port_file, Cat(server->port(), "\n"), 0644));
  }
  LogInfo("serving", {{"address", flags.server.address},
                      {"port", server->port()},
                      {"tls", flags.server.tls_certificate.empty() ? "no" : "yes"},
                      {"tokens", options.token_file},
                      {"signing_key", coordinator->signing_key().public_key_hex()}});
  if (options.fake_idp)
    LogWarning("fake_idp", {{"meaning", "anyone can log in as anybody: laboratories only"}});
  RETURN_IF_ERROR(server->Run());
  LogInfo("stopped");
  return absl::OkStatus();
}

}  // namespace
}  // namespace auspex::coordd

int main(int argc, char** argv) {
  using namespace auspex::coordd;  // NOLINT: the program's own namespace
  Flags flags;
  CLI::App app("auspex-coordd: the lab coordinator for Auspex workers");
  app.set_version_flag("--version", flags.coordinator.version);
  app.add_option("--state", flags.coordinator.state_dir, "state directory (made 0700)")->required();
  app.add_option("--listen", flags.listen, "ADDRESS:PORT; port 0 takes any free one")
      ->capture_default_str();
  app.add_option("--port-file", flags.port_file,
                 "file that gets the port once the coordinator is ready");
  app.add_option("--maintainer-token-file", flags.coordinator.token_file,
                 "default: STATE/tokens.json");
  app.add_option("--lease-seconds", flags.coordinator.lease_seconds, "redelivery lease")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  app.add_option("--max-offers", flags.coordinator.max_offers, "offers of one unit to one worker")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--expire-leases", flags.coordinator.expire_leases,
                 "silent leases after which a place is freed; 0 = never")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  app.add_option("--rate-limits", flags.rate_limits, "on or off")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
  app.add_option("--idp", flags.idp, "identity provider: none, or fake (laboratories only)")
      ->check(CLI::IsMember({"none", "fake"}))
      ->capture_default_str();
  app.add_flag("--signed-enrol", flags.coordinator.signed_enrol,
               "an enrolment signed by its own key returns an existing worker id");
  app.add_flag("--refuse-replays", flags.coordinator.refuse_replays,
               "accept each request signature once");
  app.add_flag("--allow-remote", flags.server.allow_remote,
               "listen on an address that is not loopback (with TLS)");
  app.add_option("--tls-cert", flags.server.tls_certificate, "PEM certificate chain");
  app.add_option("--tls-key", flags.server.tls_key, "PEM private key");
  app.add_option("--client-seconds", flags.server.client_seconds, "patience with a slow client")
      ->check(CLI::Range(1, 600))
      ->capture_default_str();
  app.add_flag("--verbose", flags.verbose, "log every offer and result too");
  CLI11_PARSE(app, argc, argv);

  auspex::InitLog("coordd", flags.verbose ? auspex::LogLevel::kDebug : auspex::LogLevel::kInfo);
  std::signal(SIGPIPE, SIG_IGN);
  if (sodium_init() < 0) {
    auspex::LogError("start_failed", {{"cause", "libsodium cannot be initialised"}});
    return 1;
  }
  const absl::Status status = Serve(std::move(flags));
  if (!status.ok()) {
    auspex::LogError("start_failed", {{"cause", std::string(status.message())}});
    return 1;
  }
  return 0;
}

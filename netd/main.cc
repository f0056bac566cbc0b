// SPDX-License-Identifier: AGPL-3.0-only
// auspex-netd: the only process with a network. Flags, hardening, serving; the parts are put
// together in netd.cc.
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "common/base/cat.h"
#include "common/base/sanitized.h"
#include "common/base/startup_pages.h"
#include "common/harden/allow_list.h"
#include "common/harden/harden.h"
#include "common/http/http_client.h"
#include "common/ipc/daemon.h"
#include "common/ipc/role_server.h"
#include "common/log/log.h"
#include "netd/confinement.h"
#include "netd/netd.h"
#include "netd/syscalls.h"

namespace {

using auspex::Cat;

// Refused to start: configuration or isolation.
constexpr int kRefused = 2;

int Refuse(const absl::Status& status) {
  std::fprintf(stderr, "auspex-netd: %s\n", std::string(status.message()).c_str());
  return kRefused;
}

// 0 when the flag is not given; nullopt when it is no number of 1 to a million.
std::optional<uint64_t> MaxTicks(const std::string& text) {
  if (text.empty()) return 0;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0 || value > 1'000'000)
    return std::nullopt;
  return value;
}

absl::Status Missing(const char* layer, const absl::Status& status) {
  if (!absl::IsUnimplemented(status)) return status;
  auspex::LogWarning("hardening_missing",
                     {{"layer", layer}, {"error", std::string(status.message())}});
  return absl::OkStatus();
}

// Where all daemons have one user, netd goes where that user's other sockets are not.
absl::Status EnterView(const auspex::Daemon& daemon) {
  if (daemon.layout().mode() == auspex::Layout::Mode::kSystem) return absl::OkStatus();
  const absl::StatusOr<auspex::ViewRules> rules =
      auspex::NetdView(daemon.config(), daemon.layout());
  if (!rules.ok()) return rules.status();
  return Missing("private-view", auspex::EnterPrivateView(*rules));
}

absl::Status Harden(const auspex::Daemon& daemon) {
  if (absl::Status status = EnterView(daemon); !status.ok()) return status;
  if (absl::Status status = auspex::DisableDumps(); !status.ok()) return status;
  if (absl::Status status = auspex::NoNewPrivileges(); !status.ok()) return status;
  if (absl::Status status = auspex::DenyExec(); !status.ok()) return status;
  const absl::StatusOr<auspex::FileRules> files =
      auspex::NetdFiles(daemon.config(), daemon.layout());
  if (!files.ok()) return files.status();
  return Missing("landlock", auspex::RestrictFiles(*files));
}

// For every thread that there is by now and every later one.
absl::Status KeepOnlyItsCalls() {
  if (!auspex::kSanitized) return auspex::KeepOnly(auspex::NetdCalls());
  return Missing("seccomp",
                 absl::UnimplementedError("this build's sanitizer makes calls of its own"));
}

}  // namespace

int main(int argc, char** argv) {
  absl::StatusOr<auspex::Daemon> daemon = auspex::Daemon::Init(
      "netd", argc, argv,
      {{"--max-ticks", true,
        "end after so many heartbeats and polls, and when their units are done"}});
  if (!daemon.ok()) return Refuse(daemon.status());
  const std::optional<uint64_t> max_ticks = MaxTicks(daemon->flag("--max-ticks"));
  if (!max_ticks.has_value())
    return Refuse(absl::InvalidArgumentError("--max-ticks: not a number of 1 to 1000000"));
  absl::StatusOr<auspex::Netd::Options> options =
      auspex::Netd::OptionsFrom(daemon->config(), daemon->layout(), *max_ticks);
  if (!options.ok()) return Refuse(options.status());
  auspex::InitHttp();
  if (absl::Status status = Harden(*daemon); !status.ok()) return Refuse(status);

  auspex::Netd netd(*std::move(options));
  absl::StatusOr<std::unique_ptr<auspex::RoleServer>> server =
      auspex::RoleServer::Start({.role = "netd/owner",
                                 .socket_path = daemon->layout().Socket("netd", "owner"),
                                 .allow = daemon->AllowFor("cli"),
                                 .max_message_octets = 64 * 1024},
                                {&netd.service()});
  if (!server.ok()) return Refuse(server.status());
  if (absl::Status status = KeepOnlyItsCalls(); !status.ok()) return Refuse(status);
  netd.Start([&] { daemon->RequestStop(); });
  daemon->NotifyReady();
  auspex::ReleaseStartupPages();
  daemon->WaitForStop([&netd] { return netd.counters().Summary(); });

  netd.RequestStop();
  (*server)->Shutdown(500);
  netd.Join();
  const auspex::Counters::Snapshot counters = netd.counters();
  std::fprintf(stderr, "auspex-netd: %s\n", counters.Summary().c_str());
  return counters.OnlyFailures() ? 1 : 0;
}

// SPDX-License-Identifier: AGPL-3.0-only
#include "cli/verbs/withdraw.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <iostream>

#include "cli/verbs/arguments.h"
#include "cli/worker.h"
#include "common/base/cat.h"

namespace auspex::cli {
namespace {

constexpr char kWord[] = "withdraw";
// Seconds that the grant is open: one signed request.
constexpr uint32_t kGrantSeconds = 120;

struct WithdrawOptions {
  bool yes = false;
};

// Asks for the word on the terminal. Blanks around it and letter case do not matter.
bool Confirmed(const Session& session, const std::string& worker_id) {
  session.output.Note(Cat("This will, for worker ",
                          Clean(worker_id.empty() ? "(not enrolled)" : worker_id), ":\n",
                          "  1. retire it at the coordinator: its key can never enrol again\n",
                          "  2. delete what is known here of its work: identity, units, results, "
                          "receipts, audit rows\n",
                          "  3. delete its key\n",
                          "Receipts that were issued stay in the public log, but nobody can show "
                          "any more that they are yours.\n",
                          "Type the word ", kWord, " to go on:"));
  std::string answer;
  if (!std::getline(std::cin, answer)) return false;
  const size_t first = answer.find_first_not_of(" \t\r");
  if (first == std::string::npos) return false;
  answer = answer.substr(first, answer.find_last_not_of(" \t\r") - first + 1);
  std::transform(answer.begin(), answer.end(), answer.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return answer == kWord;
}

// Retires at the coordinator. Whatever comes of it, the local purge goes on: the answer is for the
// report.
std::string RetireThere(Worker& worker, const std::string& worker_id, const Output& output) {
  absl::Status status = worker.Need({"stated", "keyd", "netd"});
  if (status.ok()) status = worker->OpenGrant(keyd_v1::OWNER_ACT_RETIRE, worker_id, kGrantSeconds);
  absl::StatusOr<netd_v1::RetireResponse> response = status.ok() ? worker->Retire() : status;
  if (!response.ok()) {
    output.Warning("withdraw", Cat("the coordinator could not be told: ",
                                   std::string(response.status().message())));
    return "failed";
  }
  if (response->outcome() == "failed") {
    output.Warning("withdraw",
                   Cat("the coordinator did not retire the worker: ", response->detail()));
  }
  return response->outcome();
}

int RunWithdraw(Session& session, const WithdrawOptions& options) {
  const Output& output = session.output;
  Worker worker(session);
  if (absl::Status status = worker.Need({"stated"}); !status.ok()) {
    output.Error("withdraw", status);
    return kExitFailure;
  }
  const absl::StatusOr<stated_v1::Status> before = worker->WorkerStatus();
  if (!before.ok()) {
    output.Error("withdraw", before.status());
    return kExitFailure;
  }
  const bool enrolled = before->identity().enrolled();
  // The key may be lost or unreadable; then there is simply nothing to sign with and nothing to
  // destroy.
  const absl::Status keyd = worker.Need({"stated", "keyd"});
  const absl::StatusOr<keyd_v1::KeyStatus> key = keyd.ok() ? worker->KeyStatus() : keyd;
  const bool has_key = key.ok() && key->identity().has_key();
  if (!enrolled && key.ok() && !has_key) {
    if (output.json()) {
      output.Json(JsonObject{{"withdrawn", false}, {"reason", "not enrolled"}});
    } else {
      output.Line("not enrolled; nothing to do");
    }
    return kExitOk;
  }
  if (!options.yes && !Confirmed(session, before->identity().worker_id())) {
    output.Error("withdraw", "not confirmed: nothing was changed");
    return kExitFailure;
  }

  std::string coordinator = "not_enrolled";
  if (enrolled && has_key) {
    coordinator = RetireThere(worker, before->identity().worker_id(), output);
  } else if (enrolled) {
    output.Warning("withdraw", Cat("there is no usable key",
                                   key.ok() ? std::string()
                                            : Cat(" (", std::string(key.status().message()), ")"),
                                   ": the coordinator cannot be told"));
    coordinator = "no_key";
  }
  const absl::StatusOr<bool> forgotten = worker->Forget();
  if (!forgotten.ok()) {
    output.Error("withdraw", forgotten.status(), "the key was kept; run it again");
    return kExitFailure;
  }
  const absl::StatusOr<keyd_v1::DestroyKeyResponse> destroyed =
      key.ok() ? worker->DestroyKey() : absl::StatusOr<keyd_v1::DestroyKeyResponse>(key.status());
  if (!destroyed.ok()) {
    output.Warning("withdraw",
                   Cat("the key's file may be left in ", session.layout.StateDir("keyd"), ": ",
                       std::string(destroyed.status().message())));
  }
  if (output.json()) {
    output.Json(
        JsonObject{{"withdrawn", true},
                   {"coordinator", coordinator},
                   {"key_destroyed", destroyed.ok()},
                   {"left", JsonObject{{"configuration", session.layout.owner_config_file()},
                                       {"data", session.layout.data_dir()},
                                       {"packages", session.layout.StateDir("runnerd")},
                                       {"journal", session.layout.StateDir("keyd")}}}});
    return kExitOk;
  }
  output.Line("withdrawn");
  output.Fields({{"coordinator", coordinator},
                 {"left: configuration", Clean(session.layout.owner_config_file())},
                 {"left: models, data", Clean(session.layout.data_dir())},
                 {"left: fetched packages", Clean(session.layout.StateDir("runnerd"))},
                 {"left: signing journal", Clean(session.layout.StateDir("keyd"))}});
  if (!worker.daemons().started_any()) {
    output.Line("The daemons still run, without work to do; stop them when you like.");
  }
  return kExitOk;
}

}  // namespace

void AddWithdrawVerb(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<WithdrawOptions>();
  CLI::App* withdraw =
      app.add_subcommand("withdraw", "Retire this worker, delete its records and its key");
  withdraw->add_flag("-y,--yes", options->yes, "Do not ask");
  withdraw->footer(
      "Works without a key and with the daemons running.\n\nExample: auspex withdraw --yes");
  Runs(withdraw, chosen, options, RunWithdraw);
}

}  // namespace auspex::cli

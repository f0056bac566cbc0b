// SPDX-License-Identifier: AGPL-3.0-only
// key show, create, import, seal, destroy.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <map>

#include "cli/import_file.h"
#include "cli/verbs/arguments.h"
#include "cli/worker.h"
#include "common/base/cat.h"
#include "common/base/encoding.h"

namespace auspex::cli {
namespace {

const std::map<std::string, keyd_v1::Keystore> kKeystores = {
    {"secret-service", keyd_v1::KEYSTORE_SECRET_SERVICE},
    {"sealed-file", keyd_v1::KEYSTORE_SEALED_FILE}};
const std::map<std::string, keyd_v1::Seal> kSeals = {{"credential", keyd_v1::SEAL_CREDENTIAL},
                                                     {"passphrase", keyd_v1::SEAL_PASSPHRASE},
                                                     {"local-secret", keyd_v1::SEAL_LOCAL_SECRET},
                                                     {"machine", keyd_v1::SEAL_MACHINE}};
const std::map<std::string, keyd_v1::ImportFormat> kFormats = {
    {"raw-seed", keyd_v1::IMPORT_FORMAT_RAW_SEED},
    {"keystore-enc", keyd_v1::IMPORT_FORMAT_KEYSTORE_ENC}};

// Where the owner wants the key; empty words leave it to keyd.
struct PlaceOptions {
  std::string keystore, seal;
  template <typename Request>
  void Fill(Request& request) const {
    if (!keystore.empty()) request.set_keystore(kKeystores.at(keystore));
    if (!seal.empty()) request.set_seal(kSeals.at(seal));
  }
};

struct ImportOptions : PlaceOptions {
  std::string file, format;
  bool from_secret_service = false;
};

struct DestroyOptions {
  bool yes = false;
};

std::string Kept(const std::string& keystore, const std::string& seal) {
  return seal.empty() ? keystore : Cat(keystore, ", sealed by ", seal);
}

// A key under a passphrase changes how the worker is started from now on.
void TellOfPassphrase(const Output& output, const std::string& seal) {
  if (seal != "passphrase") return;
  output.Line(Cat("keyd needs the passphrase at each start: ", output.program(),
                  " daemon --ask-passphrase, or AUSPEX_KEYD_PASSPHRASE_FILE"));
}

// keyd, and what it says of the key. A keyd that refuses to start is a refusal of the verb.
// `seals`: the verb will seal the key, so that a passphrase is asked for twice.
absl::StatusOr<keyd_v1::KeyStatus> Ready(Session& session, Worker& worker, int& code,
                                         bool seals = false) {
  code = kExitOk;
  if (seals && session.globals.ask_passphrase) {
    if (absl::Status asked = worker.AskPassphrase(true); !asked.ok()) {
      session.output.Error("key", asked);
      code = kExitRefused;
      return asked;
    }
  }
  if (absl::Status need = worker.Need({"keyd"}); !need.ok()) {
    session.output.Error("key", need);
    code = kExitRefused;
    return need;
  }
  absl::StatusOr<keyd_v1::KeyStatus> status = worker->KeyStatus();
  if (!status.ok()) {
    session.output.Error("key", status.status());
    code = kExitFailure;
  }
  return status;
}

int RunKeyShow(Session& session) {
  const Output& output = session.output;
  Worker worker(session);
  int code = kExitOk;
  const absl::StatusOr<keyd_v1::KeyStatus> key = Ready(session, worker, code);
  if (!key.ok()) return code;
  const keyd_v1::KeyIdentity& identity = key->identity();
  std::string missing;
  JsonArray missing_list;
  for (const std::string& layer : key->missing_hardening()) {
    missing += (missing.empty() ? "" : ", ") + Clean(layer);
    missing_list.push_back(layer);
  }
  if (output.json()) {
    output.Json(JsonObject{{"has_key", identity.has_key()},
                           {"public_key", identity.public_key_hex()},
                           {"worker_id", identity.worker_id()},
                           {"coordinator", identity.base_url()},
                           {"keystore", key->keystore()},
                           {"seal", key->seal()},
                           {"advice", key->advice()},
                           {"missing_hardening", missing_list},
                           {"journal", JsonObject{{"path", key->journal_path()},
                                                  {"records", key->journal_records()},
                                                  {"root", HexEncode(key->journal_root())}}},
                           {"signatures", key->signatures()},
                           {"refusals", key->refusals()}});
    return kExitOk;
  }
  output.Fields(
      {{"pubkey", identity.has_key() ? Clean(identity.public_key_hex()) : std::string("none")},
       {"pinned to", Clean(identity.worker_id().empty()
                               ? std::string()
                               : Cat(identity.worker_id(), " at ", identity.base_url()))},
       {identity.has_key() ? "keystore" : "a new key's keystore",
        Clean(Kept(key->keystore(), key->seal()))},
       {"advice", Clean(key->advice())},
       {"not in force", missing},
       {"journal", Clean(key->journal_path())},
       {"records", Cat(key->journal_records())},
       {"root", HexEncode(key->journal_root())},
       {"signatures",
        Cat(key->signatures(), " since keyd started, ", key->refusals(), " refused")}});
  return kExitOk;
}

// The outcome of a verb that made or took over a key.
int TellNewKey(Session& session, Worker& worker, const keyd_v1::KeyIdentity& identity,
               const char* done) {
  const Output& output = session.output;
  const absl::StatusOr<keyd_v1::KeyStatus> status = worker->KeyStatus();
  const std::string keystore = status.ok() ? status->keystore() : "";
  const std::string seal = status.ok() ? status->seal() : "";
  if (output.json()) {
    output.Json(JsonObject{{"public_key", identity.public_key_hex()},
                           {"keystore", keystore},
                           {"seal", seal},
                           {"advice", status.ok() ? status->advice() : ""}});
    return kExitOk;
  }
  output.Line(done);
  output.Fields({{"pubkey", Clean(identity.public_key_hex())},
                 {"keystore", Clean(Kept(keystore, seal))},
                 {"advice", status.ok() ? Clean(status->advice()) : std::string()}});
  TellOfPassphrase(output, seal);
  output.Line(Cat("next: ", output.program(), " bootstrap"));
  return kExitOk;
}

int RunKeyCreate(Session& session, const PlaceOptions& options) {
  Worker worker(session);
  int code = kExitOk;
  if (!Ready(session, worker, code, true).ok()) return code;
  keyd_v1::CreateKeyRequest request;
  options.Fill(request);
  const absl::StatusOr<keyd_v1::KeyIdentity> made = worker->CreateKey(request);
  if (!made.ok()) {
    session.output.Error("key create", made.status());
    return absl::IsInvalidArgument(made.status()) ? kExitRefused : kExitFailure;
  }
  return TellNewKey(session, worker, *made, "a key was made");
}

int RunKeyImport(Session& session, const ImportOptions& options) {
  const Output& output = session.output;
  if (options.file.empty() != options.from_secret_service) {
    output.Error("key import", "name a file, or --from-secret-service, and not both",
                 Cat(output.program(), " key import --help"));
    return kExitRefused;
  }
  Worker worker(session);
  int code = kExitOk;
  if (!Ready(session, worker, code, true).ok()) return code;
  keyd_v1::ImportKeyRequest request;
  options.Fill(request);
  if (!options.format.empty()) request.set_format(kFormats.at(options.format));
  absl::StatusOr<keyd_v1::KeyIdentity> imported;
  if (options.from_secret_service) {
    request.set_keystore(keyd_v1::KEYSTORE_SECRET_SERVICE);
    imported = worker->ImportKey(request);
  } else {
    const absl::StatusOr<ImportFile> placed =
        ImportFile::Place(options.file, session.layout.StateDir("keyd"));
    imported = placed.ok() ? worker->ImportKey(request) : placed.status();
  }
  if (!imported.ok()) {
    output.Error("key import", imported.status());
    return absl::IsInvalidArgument(imported.status()) ? kExitRefused : kExitFailure;
  }
  return TellNewKey(session, worker, *imported,
                    options.from_secret_service
                        ? "the key in the Secret Service is this worker's now; the existing worker "
                          "must not run any more"
                        : "the key was imported; the file that it came from is as it was, remove "
                          "it when you no longer need it");
}

int RunKeySeal(Session& session, const PlaceOptions& options) {
  const Output& output = session.output;
  Worker worker(session);
  int code = kExitOk;
  if (!Ready(session, worker, code, true).ok()) return code;
  keyd_v1::SealKeyRequest request;
  options.Fill(request);
  const absl::StatusOr<keyd_v1::SealKeyResponse> sealed = worker->SealKey(request);
  if (!sealed.ok()) {
    output.Error("key seal", sealed.status());
    return absl::IsInvalidArgument(sealed.status()) ? kExitRefused : kExitFailure;
  }
  if (output.json()) {
    output.Json(JsonObject{
        {"keystore", sealed->keystore()}, {"seal", sealed->seal()}, {"was", sealed->was()}});
    return kExitOk;
  }
  output.Fields({{"keystore", Clean(Kept(sealed->keystore(), sealed->seal()))},
                 {"was", Clean(sealed->was())}});
  TellOfPassphrase(output, sealed->seal());
  return kExitOk;
}

bool DestructionConfirmed(const Output& output, const keyd_v1::KeyIdentity& identity) {
  std::string text = Cat("This destroys the key ", Clean(identity.public_key_hex()),
                         ".\nWith it goes the identity: nobody can sign as this worker again, and "
                         "receipts can no longer be shown to be yours.\n");
  if (!identity.worker_id().empty()) {
    text += Cat("It is enrolled as ", Clean(identity.worker_id()), ". '", output.program(),
                " withdraw' tells the coordinator first; after this nobody can.\n");
  }
  output.Note(Cat(text, "Type the word destroy to go on:"));
  std::string answer;
  return std::getline(std::cin, answer) && answer == "destroy";
}

int RunKeyDestroy(Session& session, const DestroyOptions& options) {
  const Output& output = session.output;
  Worker worker(session);
  int code = kExitOk;
  const absl::StatusOr<keyd_v1::KeyStatus> key = Ready(session, worker, code);
  if (!key.ok()) return code;
  if (key->identity().has_key() && !options.yes) {
    if (::isatty(STDIN_FILENO) != 1) {
      output.Error("key destroy", "standard input is no terminal, so nobody can be asked",
                   Cat(output.program(), " key destroy --yes"));
      return kExitRefused;
    }
    if (!DestructionConfirmed(output, key->identity())) {
      output.Error("key destroy", "not confirmed: nothing was changed");
      return kExitFailure;
    }
  }
  const absl::StatusOr<keyd_v1::DestroyKeyResponse> destroyed = worker->DestroyKey();
  if (!destroyed.ok()) {
    output.Error("key destroy", destroyed.status(), "mend what it names, and run it again");
    return kExitFailure;
  }
  JsonArray removed;
  for (const std::string& thing : destroyed->removed()) removed.push_back(thing);
  if (output.json()) {
    output.Json(JsonObject{{"existed", destroyed->existed()}, {"removed", removed}});
    return kExitOk;
  }
  output.Line(destroyed->existed() ? "the key is destroyed" : "there was no key");
  for (const std::string& thing : destroyed->removed()) {
    output.Line(Cat("removed: ", Clean(thing)));
  }
  return kExitOk;
}

template <typename Map>
std::vector<std::string> Words(const Map& map) {
  std::vector<std::string> words;
  for (const auto& [word, value] : map) words.push_back(word);
  return words;
}

constexpr char kSealsHelp[] =
    "Seals: credential    a secret that systemd hands to keyd\n"
    "       passphrase    asked for whenever keyd starts (--ask-passphrase)\n"
    "       local-secret  a file beside the key: who can read one can read both\n"
    "       machine       this machine's id, which is no secret; needs "
    "keyd.allow_machine_bound_key\n\n";

void AddPlaceOptions(CLI::App* verb, PlaceOptions& options) {
  verb->add_option("--keystore", options.keystore, "Where the key is kept")
      ->check(CLI::IsMember(Words(kKeystores)));
  verb->add_option("--seal", options.seal, "What a sealed file is encrypted with")
      ->check(CLI::IsMember(Words(kSeals)));
}

}  // namespace

void AddKeyVerbs(CLI::App& app, Chosen& chosen) {
  CLI::App* key = app.add_subcommand("key", "The worker's key");
  key->require_subcommand(0, 1);

  CLI::App* show =
      key->add_subcommand("show", "Public key, how it is kept, and the signing journal's head");
  show->footer("Example: auspex key show --json");
  Runs(show, chosen, RunKeyShow);

  auto create_options = std::make_shared<PlaceOptions>();
  CLI::App* create = key->add_subcommand("create", "Make a key, without enrolling");
  AddPlaceOptions(create, *create_options);
  create->footer(Cat("Without options: the configured keystore, else the best there is.\n\n",
                     kSealsHelp,
                     "Examples: auspex key create\n"
                     "          auspex key create --seal passphrase --ask-passphrase"));
  Runs(create, chosen, create_options, RunKeyCreate);

  auto import_options = std::make_shared<ImportOptions>();
  CLI::App* import = key->add_subcommand("import", "Take over a key that was made elsewhere");
  import
      ->add_option("file", import_options->file,
                   "A raw seed (32 octets or 64 hex digits) or an existing worker's keystore.enc")
      ->type_name("FILE");
  import->add_option("--format", import_options->format, "Guessed from the content when left out")
      ->check(CLI::IsMember(Words(kFormats)));
  import->add_flag("--from-secret-service", import_options->from_secret_service,
                   "The existing worker's key in the Secret Service, which stays there");
  AddPlaceOptions(import, *import_options);
  import->footer(
      Cat("The command copies the file inside the kernel; only keyd reads it.\n\n", kSealsHelp,
          "Examples: auspex key import ~/.local/share/auspexai-worker/keystore.enc\n"
          "          auspex key import seed.hex --format raw-seed --keystore sealed-file\n"
          "          auspex key import --from-secret-service"));
  Runs(import, chosen, import_options, RunKeyImport);

  auto seal_options = std::make_shared<PlaceOptions>();
  CLI::App* seal = key->add_subcommand("seal", "Keep the key elsewhere, or under another seal");
  AddPlaceOptions(seal, *seal_options);
  seal->footer(Cat("The new form is written and opened again before the old one is wiped.\n\n",
                   kSealsHelp,
                   "Examples: auspex key seal --keystore secret-service\n"
                   "          auspex key seal --seal passphrase --ask-passphrase"));
  Runs(seal, chosen, seal_options, RunKeySeal);

  auto destroy_options = std::make_shared<DestroyOptions>();
  CLI::App* destroy = key->add_subcommand("destroy", "Wipe the key; the identity is lost with it");
  destroy->add_flag("--yes", destroy_options->yes, "Do not ask");
  destroy->footer(
      "To leave the network, use auspex withdraw: it tells the coordinator first.\n\n"
      "Example: auspex key destroy --yes");
  Runs(destroy, chosen, destroy_options, RunKeyDestroy);
}

}  // namespace auspex::cli

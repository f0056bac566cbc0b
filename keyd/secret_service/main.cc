// SPDX-License-Identifier: AGPL-3.0-only
// auspex-keyd-secrets: one command on the desktop's Secret Service, then the end. Started by keyd's
// gate; of no use to people.
//
//   probe    prints "<items> <locked items>" of the worker's key; asks nobody to unlock anything
//   load     prints the 32 octets of the seed
//   store    reads 32 octets and keeps them as a new item of the default collection
//   delete   removes the item, and looks again
//
// The item is the existing worker's (worker behaviour, section 3.3): two attributes, the raw seed.
// Which item of several is meant cannot be told, so several are an error in every command but
// probe. The answer is the exit code (helper_exit.h); the reason, one line, goes to standard error.
#include <libsecret/secret.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "keyd/secret_service/helper_exit.h"

namespace auspex::keyd {
namespace {

constexpr size_t kSeedOctets = 32;
constexpr char kLabel[] = "AuspexAI worker \xe2\x80\x94 Ed25519 private key";

struct Unref {
  void operator()(gpointer object) const { g_object_unref(object); }
  void operator()(GHashTable* table) const { g_hash_table_unref(table); }
  void operator()(GError* error) const { g_error_free(error); }
};
template <typename T>
using Owned = std::unique_ptr<T, Unref>;

// The items of a search, each with a reference.
struct Items {
  GList* list = nullptr;
  ~Items() { g_list_free_full(list, g_object_unref); }
  guint count() const { return g_list_length(list); }
  SecretItem* first() const { return static_cast<SecretItem*>(list->data); }
};

// Where a seed lies in this process: one locked page, wiped at the end.
struct SeedPage {
  unsigned char octets[kSeedOctets + 1] = {};  // one more, to notice what is too long
  SeedPage() { ::mlock(octets, sizeof octets); }
  ~SeedPage() { ::explicit_bzero(octets, sizeof octets); }
};

int Say(int code, const char* what, GError* untrusted_error = nullptr) {
  const Owned<GError> error(untrusted_error);
  std::fprintf(stderr, "%s%s%.300s\n", what, error ? ": " : "", error ? error->message : "");
  return code;
}

Owned<GHashTable> Attributes() {
  Owned<GHashTable> table(g_hash_table_new(g_str_hash, g_str_equal));
  g_hash_table_insert(table.get(), const_cast<char*>("service"),
                      const_cast<char*>("auspexai-worker"));
  g_hash_table_insert(table.get(), const_cast<char*>("key-type"),
                      const_cast<char*>("ed25519-private"));
  return table;
}

class Helper {
 public:
  int Run(std::string_view command) {
    if (command != "probe" && command != "load" && command != "store" && command != "delete") {
      return Say(kHelperUsage, "usage: auspex-keyd-secrets probe|load|store|delete");
    }
    GError* error = nullptr;
    // The session is encrypted between this process and the service.
    service_.reset(secret_service_get_sync(SECRET_SERVICE_OPEN_SESSION, nullptr, &error));
    if (!service_) return Say(kHelperUnreachable, "the Secret Service does not answer", error);
    Items items;
    items.list = secret_service_search_sync(service_.get(), nullptr, Attributes().get(),
                                            SECRET_SEARCH_ALL, nullptr, &error);
    if (error != nullptr) return Say(kHelperUnreachable, "the search failed", error);
    if (command == "probe") return Probe(items);
    if (items.count() > 1) {
      return Say(kHelperSeveralItems,
                 "several items are marked service=auspexai-worker, key-type=ed25519-private");
    }
    if (command == "store") return Store(items);
    if (items.count() == 0) return Say(kHelperNoItem, "there is no such item");
    return command == "load" ? Load(items) : Delete(items);
  }

 private:
  int Probe(const Items& items) {
    const Owned<SecretCollection> collection = DefaultCollection();
    if (!collection && items.count() == 0) {
      return Say(kHelperUnreachable, "the Secret Service has no default collection");
    }
    guint locked = 0;
    for (GList* at = items.list; at != nullptr; at = at->next) {
      if (secret_item_get_locked(static_cast<SecretItem*>(at->data))) ++locked;
    }
    std::printf("%u %u\n", items.count(), locked);
    return std::fflush(stdout) == 0 ? kHelperOk : kHelperFailed;
  }

  Owned<SecretCollection> DefaultCollection() {
    GError* error = nullptr;
    Owned<SecretCollection> collection(secret_collection_for_alias_sync(
        service_.get(), SECRET_COLLECTION_DEFAULT, SECRET_COLLECTION_NONE, nullptr, &error));
    const Owned<GError> ignored(error);
    return collection;
  }

  // May ask the person at the desktop; who started this process bounds the time.
  int Unlock(gpointer object) {
    GError* error = nullptr;
    GList entry{object, nullptr, nullptr};
    GList* unlocked = nullptr;
    const gint count =
        secret_service_unlock_sync(service_.get(), &entry, nullptr, &unlocked, &error);
    g_list_free_full(unlocked, g_object_unref);
    if (error != nullptr) return Say(kHelperLocked, "it cannot be unlocked", error);
    return count == 1 ? kHelperOk : Say(kHelperLocked, "it is locked and was not unlocked");
  }

  int Load(const Items& items) {
    SecretItem* item = items.first();
    if (secret_item_get_locked(item)) {
      if (const int code = Unlock(item); code != kHelperOk) return code;
    }
    GError* error = nullptr;
    if (!secret_item_load_secret_sync(item, nullptr, &error)) {
      return Say(kHelperFailed, "the item cannot be read", error);
    }
    // libsecret keeps values in locked memory of its own and wipes it at the last unref.
    SecretValue* value = secret_item_get_secret(item);
    if (value == nullptr) return Say(kHelperFailed, "the item has no secret");
    gsize length = 0;
    const gchar* seed = secret_value_get(value, &length);
    int code = kHelperOk;
    if (length != kSeedOctets) {
      code = Say(kHelperWrongLength, "the item's secret is not the 32 octets of a seed");
    } else if (::write(STDOUT_FILENO, seed, length) != static_cast<ssize_t>(length)) {
      code = Say(kHelperFailed, "nobody takes the seed");
    }
    secret_value_unref(value);
    return code;
  }

  int Store(const Items& items) {
    if (items.count() != 0) return Say(kHelperItemExists, "there is such an item already");
    SeedPage page;
    size_t got = 0;
    for (;;) {
      const ssize_t n = ::read(STDIN_FILENO, page.octets + got, sizeof page.octets - got);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      got += static_cast<size_t>(n);
      if (got == sizeof page.octets) break;
    }
    if (got != kSeedOctets) return Say(kHelperWrongLength, "standard input is not 32 octets");
    const Owned<SecretCollection> collection = DefaultCollection();
    if (!collection) return Say(kHelperUnreachable, "the Secret Service has no default collection");
    if (secret_collection_get_locked(collection.get())) {
      if (const int code = Unlock(collection.get()); code != kHelperOk) return code;
    }
    SecretValue* value =
        secret_value_new(reinterpret_cast<const gchar*>(page.octets), kSeedOctets, "text/plain");
    GError* error = nullptr;
    const Owned<SecretItem> item(secret_item_create_sync(collection.get(), nullptr,
                                                         Attributes().get(), kLabel, value,
                                                         SECRET_ITEM_CREATE_NONE, nullptr, &error));
    secret_value_unref(value);
    return item ? kHelperOk : Say(kHelperFailed, "the item cannot be made", error);
  }

  int Delete(const Items& items) {
    SecretItem* item = items.first();
    if (secret_item_get_locked(item)) {
      if (const int code = Unlock(item); code != kHelperOk) return code;
    }
    GError* error = nullptr;
    if (!secret_item_delete_sync(item, nullptr, &error)) {
      return Say(kHelperFailed, "the item cannot be removed", error);
    }
    Items left;
    left.list = secret_service_search_sync(service_.get(), nullptr, Attributes().get(),
                                           SECRET_SEARCH_ALL, nullptr, &error);
    if (error != nullptr) return Say(kHelperFailed, "looking again failed", error);
    return left.count() == 0 ? kHelperOk : Say(kHelperFailed, "the item is still there");
  }

  Owned<SecretService> service_;
};

int Main(int argc, char** argv) {
  // The seed passes through this process: no dump, no tracer, no core, as little swap as can be.
  ::prctl(PR_SET_DUMPABLE, 0);
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  Helper helper;
  return helper.Run(argc == 2 ? argv[1] : "");
}

}  // namespace
}  // namespace auspex::keyd

#ifdef __SANITIZE_ADDRESS__
// As in keyd: the search for leaks makes a process that traces this one.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }
#endif

int main(int argc, char** argv) { return auspex::keyd::Main(argc, argv); }

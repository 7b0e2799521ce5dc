// Pages of a slow server: one after the other, in coroutines, and in threads.

#include "toolkit/claims.hpp"
#include "toolkit/coroutines.hpp"
#include "toolkit/options.hpp"
#include "toolkit/run.hpp"
#include "toolkit/say.hpp"
#include "toolkit/text.hpp"
#include "toolkit/web_client.hpp"
#include "toolkit/web_server.hpp"

#include <multifork/pool/executor.hpp>
#include <multifork/process/this_process.hpp>

#include <unistd.h>

#include <chrono>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace mp = multifork;
using namespace demo;
using std::chrono::milliseconds;

constexpr const char* name = "fetchers";
constexpr int workers = 10;

using Urls = std::vector<std::string>;
using Texts = std::vector<std::string>;

/// Who fetched, as the tutorial's programs print it: a line each.
class Fetchers {
public:
    explicit Fetchers(bool aloud) : aloud_(aloud) {}

    void tell(const std::string& url) {
        const std::scoped_lock hold(mutex_);
        pids_.insert(mp::this_process::pid());
        threads_.insert(::gettid());
        if (aloud_ || lines_ < 3)
            say("{} process | {} url : {}", mp::this_process::pid(), ::gettid(), url);
        ++lines_;
    }
    /// How many lines were not printed.
    [[nodiscard]] int silent() const { return aloud_ ? 0 : std::max(lines_ - 3, 0); }
    [[nodiscard]] const std::set<int>& pids() const { return pids_; }
    [[nodiscard]] const std::set<int>& threads() const { return threads_; }

private:
    bool aloud_;
    std::mutex mutex_;
    int lines_ = 0;
    std::set<int> pids_;
    std::set<int> threads_;
};

/// def fetcher(session, url)
std::string fetcher(Fetchers& fetchers, WebSession& session, const std::string& url) {
    fetchers.tell(url);
    return session.get(url);
}
/// async def fetcher(session, url)
Coroutine<std::string> async_fetcher(Fetchers& fetchers, std::string url) {
    fetchers.tell(url);
    co_return co_await async_get(url);
}

// The three ways, each with the tutorial's few lines.

Texts one_after_the_other(Fetchers& fetchers, const Urls& urls) {
    WebSession session;
    Texts texts;
    for (const std::string& url : urls)
        texts.push_back(fetcher(fetchers, session, url));
    return texts;
}

Coroutine<Texts> gather_all(Fetchers& fetchers, const Urls& urls) {
    std::vector<Coroutine<std::string>> all;
    for (const std::string& url : urls)
        all.push_back(async_fetcher(fetchers, url));
    co_return co_await gather(std::move(all));
}
Texts in_coroutines(Fetchers& fetchers, const Urls& urls) {
    return run_async(gather_all(fetchers, urls));
}

Texts in_an_executor(Fetchers& fetchers, const Urls& urls) {
    WebSession session;
    mp::ThreadPoolExecutor executor{workers};
    Texts results;
    for (const std::string& text : executor.map(
             [&](const std::string& url) { return fetcher(fetchers, session, url); }, urls))
        results.push_back(text);
    return results;
}

/// How a way went.
struct Outcome {
    std::string how;
    bool in_order = false;
    double seconds = 0;
    std::size_t pids = 0;
    std::size_t threads = 0;
    std::int64_t at_once = 0; ///< requests that the server had at the same moment
};

std::string page_of(const std::string& path) {
    return "This is page " + path;
}

class Comparison {
public:
    Comparison(milliseconds delay, bool aloud)
        : server_([](const WebRequest& request) { return page_of(request.path); }, delay),
          aloud_(aloud) {}

    Outcome run(std::string how, const std::function<Texts(Fetchers&, const Urls&)>& way, int pages,
                int times) {
        Urls urls;
        Texts expected;
        for (int i = 0; i < pages * times; ++i) {
            const std::string path = fmt::format("/{}", i % pages + 1);
            urls.push_back(server_.url(path));
            expected.push_back(page_of(path));
        }
        server_.count_anew();
        heading(fmt::format("{}: {} pages", how, urls.size()));
        Fetchers fetchers(aloud_);
        const auto begin = std::chrono::steady_clock::now();
        const Texts texts = way(fetchers, urls);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
        if (fetchers.silent() > 0)
            say("{} and {} more", glyphs().ellipsis, fetchers.silent());
        say("{:.2f} s", took.count());
        return {std::move(how),         texts == expected,         took.count(),
                fetchers.pids().size(), fetchers.threads().size(), server_.most_at_once()};
    }

private:
    WebServer server_;
    bool aloud_;
};

int show(milliseconds delay, int times, bool aloud) {
    fmt::print("{}\n", paint(Ink::strong, fmt::format("Pages of a server that takes {} for each",
                                                      duration_text(delay.count() * 1'000'000))));
    Comparison comparison(delay, aloud);
    const auto run = [&](const char* how, const auto& way, int pages, int each) {
        return comparison.run(how, way, pages, each);
    };
    const Outcome row = run("One after the other", one_after_the_other, 3, times);
    const Outcome coroutines = run("In coroutines", in_coroutines, 3, times);
    const Outcome long_row = run("One after the other", one_after_the_other, 2, 5 * times);
    const Outcome long_coroutines = run("In coroutines", in_coroutines, 2, 5 * times);
    const Outcome executor = run("In a ThreadPoolExecutor of 10", in_an_executor, 2, 5 * times);

    Claims claims;
    for (const Outcome* outcome : {&row, &coroutines, &long_row, &long_coroutines, &executor})
        claims.check(
            outcome->in_order && outcome->pids == 1,
            fmt::format("{}: all pages, in the order of the URLs, in one process", outcome->how));
    claims.check(row.threads == 1 && coroutines.threads == 1 && long_row.threads == 1 &&
                     long_coroutines.threads == 1,
                 "Coroutines run in one thread, as one after the other does");
    claims.check(executor.threads > 1 && executor.threads <= workers,
                 "The executor has up to 10 threads", fmt::format("{} threads", executor.threads));
    claims.check(row.at_once == 1 && long_row.at_once == 1,
                 "One after the other, the server never has two requests at once");
    claims.check(coroutines.at_once > 1 && long_coroutines.at_once > 1 && executor.at_once > 1 &&
                     executor.at_once <= workers,
                 "Coroutines and threads wait at the same time",
                 fmt::format("{}, {} and {} requests at once", coroutines.at_once,
                             long_coroutines.at_once, executor.at_once));
    claims.check(coroutines.seconds < row.seconds && long_coroutines.seconds < long_row.seconds &&
                     executor.seconds < long_row.seconds,
                 "So they are done sooner",
                 fmt::format("{:.2f} s instead of {:.2f}; {:.2f} and {:.2f} instead of {:.2f}",
                             coroutines.seconds, row.seconds, long_coroutines.seconds,
                             executor.seconds, long_row.seconds));
    return claims.exit_code();
}

} // namespace

int main(int argc, char** argv) {
    return demo::run(name, [&] {
        Options options(name,
                        "Fetches pages of a slow server on this machine: one after the other, in\n"
                        "coroutines, and in the threads of an executor.\n",
                        "\nExit status: 0 when all is as it should be, 1 when not, 2 when the\n"
                        "command line is wrong.\n");
        options.add_number("milliseconds", "the server takes for a page", 50, 1, 10'000);
        options.add_number("times", "each page is fetched; in the long runs five times that", 10, 1,
                           100);
        options.add_flag("all-lines", "print a line for each page");
        options.add_short({{"milliseconds", 10}});
        if (!options.parse(argc, argv))
            return success;
        return show(milliseconds(options.number("milliseconds")),
                    static_cast<int>(options.number("times")), options.flag("all-lines"));
    });
}

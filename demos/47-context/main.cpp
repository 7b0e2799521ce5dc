// A context, and what a process is before it starts.

#include "toolkit/claims.hpp"
#include "toolkit/options.hpp"
#include "toolkit/proc.hpp"
#include "toolkit/run.hpp"
#include "toolkit/say.hpp"
#include "toolkit/text.hpp"

#include <multifork/channel/queue.hpp>
#include <multifork/channel/value.hpp>
#include <multifork/process/context.hpp>
#include <multifork/process/this_process.hpp>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace {

namespace mp = multifork;
using namespace demo;

constexpr const char* name = "context";

/// How often main() was entered in this process, and who is asked.
int mains = 0;

struct Seen {
    int pid = 0;
    int mains = -1;
    std::string program;
};
using Answers = mp::Queue<Seen>;

std::string this_program() {
    return std::filesystem::read_symlink("/proc/self/exe").string();
}
void look(Answers answers) {
    answers.put({mp::this_process::pid(), mains, this_program()});
}
Seen look_by(const mp::Context& context) {
    Answers answers{1};
    mp::Process child = context.process(look, answers);
    child.start();
    child.join();
    return answers.try_get().value_or(Seen{});
}

void take_a_while(mp::Value<int> ended) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    ended.value() = mp::this_process::pid();
}

/// The claims of the tutorial that its own program does not show.
void check_around(Claims& claims, const mp::Context& spawn) {
    const Seen spawned = look_by(spawn);
    const Seen forked = look_by(mp::get_context("fork"));
    claims.check(spawned.program == this_program() && spawned.mains == 0,
                 "A spawned child is this program executed anew, and yet does not enter main(): no "
                 "guard is needed, and nothing is printed twice",
                 fmt::format("main() was entered {} times there", spawned.mains));
    claims.check(forked.mains == 1, "A forked child is a copy of a process that is in main()",
                 fmt::format("entered {} time", forked.mains));

    mp::set_start_method("fork");
    std::string said = "nothing was thrown";
    try {
        mp::set_start_method("spawn");
    } catch (const mp::ProcessError& error) {
        said = error.what();
    }
    claims.check(said != "nothing was thrown" && mp::get_start_method() == "fork",
                 "set_start_method() belongs at the top, once", said);

    // A whole program that starts a process and never joins it.
    mp::Value<int> ended{0};
    mp::Process program{[&] {
        mp::Process never_joined{take_a_while, ended};
        never_joined.start();
    }};
    program.start();
    program.join();
    claims.check(program.exitcode() == 0 && ended.value() != 0 && process_state(ended.value()) == 0,
                 "A program that does not join its process waits for it at its end",
                 fmt::format("exit code {}, and process {} is gone", or_nothing(program.exitcode()),
                             ended.value().get()));
}

int show() {
    title("A context, and a process before it starts");
    say("This is main() of process {}", mp::this_process::pid());
    say("{}", fmt::join(mp::get_all_start_methods(), ", "));

    const mp::Context ctx = mp::get_context("spawn");
    say("{}", ctx.get_start_method());

    mp::Process process = ctx.process(); // it has nothing to do
    say("name {}", process.name());
    say("daemon {}", process.daemon());
    say("pid {}", or_nothing(process.pid()));
    say("alive {}", process.is_alive());
    say("exitcode {}", or_nothing(process.exitcode()));
    Claims claims;
    const bool is_nobody = !process.daemon() && !process.pid() && !process.is_alive() &&
                           !process.exitcode() && process.name() == "SpawnProcess-1";
    process.start();
    say("pid {}", or_nothing(process.pid()));
    const bool is_somebody = process.pid() && *process.pid() != mp::this_process::pid();

    claims.check(fmt::format("{}", fmt::join(mp::get_all_start_methods(), " ")) ==
                     "fork spawn forkserver",
                 "Three start methods, the default first: fork");
    claims.check(ctx.get_start_method() == "spawn", "The context has the method it was asked for");
    claims.check(is_nobody,
                 "Before start() it has a name with the context's own word, SpawnProcess-1, "
                 "and neither pid nor exit code");
    claims.check(is_somebody, "After start() it has a pid", or_nothing(process.pid()));
    check_around(claims, ctx);
    return claims.exit_code();
}

} // namespace

int main(int argc, char** argv) {
    ++mains;
    return demo::run(name, [&] {
        Options options(name,
                        "Makes a process by the context of \"spawn\", prints what it is before it\n"
                        "starts, and starts it.\n",
                        "\nExit status: 0 when all is as it should be, 1 when not, 2 when the\n"
                        "command line is wrong.\n");
        options.add_short({});
        if (!options.parse(argc, argv))
            return success;
        return show();
    });
}

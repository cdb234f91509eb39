// Echo and room on uWebSockets; bench/README.md tells how it is built beside a checkout of theirs.
#include "App.h"

#include <cstdlib>

struct Nothing {};

template <typename Handler> uWS::App::WebSocketBehavior<Nothing> behaviour(Handler message)
{
    return {
        .compression = uWS::DISABLED,
        .maxPayloadLength = 1 << 25,
        .idleTimeout = 0,
        .maxBackpressure = 1 << 26,
        .sendPingsAutomatically = false,
        .message = message,
    };
}

int main(int count, char **words)
{
    if (count != 2) return 2;
    int port = std::atoi(words[1]);
    uWS::App app;
    app.ws<Nothing>("/echo", behaviour([](auto *socket, std::string_view message, uWS::OpCode opcode) {
        socket->send(message, opcode);
    }));
    app.ws<Nothing>("/room", behaviour([&app](auto *socket, std::string_view message, uWS::OpCode opcode) {
        if (message == "join") {
            socket->subscribe("bench");
            socket->send("joined", opcode);
        } else if (message == "leave") {
            socket->unsubscribe("bench");
            socket->send("left", opcode);
        } else {
            app.publish("bench", message, opcode);
        }
    }));
    app.listen("127.0.0.1", port, [](auto *listener) {
        if (!listener) std::exit(1);
    });
    app.run();
}

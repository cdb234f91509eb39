/* Plain TCP on one epoll: `join` makes its sender a member and comes back; anything else goes to all members,
 * or where there are none back to its sender. What the system itself costs, and how fast the generator is. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_MEMBERS = 1 << 17, MAX_EVENTS = 512 };
static int members[MAX_MEMBERS], member_count, listener, epoll;
static char octets[1 << 20];

static void watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Blocking: the generator reads all the time, and this server has nothing else to do. */
static void send_all(int fd, ssize_t length)
{
    for (ssize_t sent = 0, more; sent < length; sent += more)
        if ((more = send(fd, octets + sent, length - sent, MSG_NOSIGNAL)) <= 0) return;
}

static void on_readable(int fd)
{
    ssize_t length = recv(fd, octets, sizeof octets, 0);
    if (length <= 0) {
        close(fd);
        return;
    }
    if (length == 4 && !memcmp(octets, "join", 4)) {
        members[member_count++ % MAX_MEMBERS] = fd;
        send_all(fd, length);
        return;
    }
    for (int i = 0; i < member_count; i++) send_all(members[i], length);
    if (!member_count) send_all(fd, length);
}

int main(int count, char **words)
{
    if (count != 2) return 2;
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) {
        perror("raw");
        return 1;
    }
    epoll = epoll_create1(0);
    watch(listener);
    for (;;) {
        struct epoll_event events[MAX_EVENTS];
        int ready = epoll_wait(epoll, events, MAX_EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd != listener) {
                on_readable(events[i].data.fd);
                continue;
            }
            int fd = accept(listener, NULL, NULL);
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            watch(fd);
        }
    }
}

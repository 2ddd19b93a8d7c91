/*
 * The descriptor page and four virtio drivers in their smallest form.
 *
 * SPDX-License-Identifier: MIT
 */
#include "kernel.h"

#define VIRTIO_NET 1
#define VIRTIO_BLOCK 2
#define VIRTIO_CONSOLE 3
#define VIRTIO_RNG 4

#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER 2
#define STATUS_DRIVER_OK 4

#define DESC_NEXT 1
#define DESC_WRITE 2

#define NET_MAC_FEATURE 5
#define NET_HEADER 10

struct descriptor {
	u8 type, num_vq, feature_len, config_len;
	volatile u8 status;
} __attribute__((packed));

struct vqconfig {
	u16 num, irq;
	u32 pfn;
} __attribute__((packed));

struct queue {
	u32 num, irq, address;
	u16 avail, used;
};

struct device {
	struct descriptor *desc;
	struct queue queues[2];
};

struct buffer {
	volatile void *data;
	u32 length, flags;
};

u32 memory_bytes;
static struct device disk, net, console, rng;

static struct vqconfig *vqconfigs(struct device *device)
{
	return (struct vqconfig *)(device->desc + 1);
}

static u8 *features(struct device *device)
{
	return (u8 *)(vqconfigs(device) + device->desc->num_vq);
}

static u8 *config(struct device *device)
{
	return features(device) + 2 * device->desc->feature_len;
}

static int offers(struct device *device, u32 bit)
{
	return bit / 8 < device->desc->feature_len && features(device)[bit / 8] >> bit % 8 & 1;
}

static void accept(struct device *device, u32 bit)
{
	features(device)[device->desc->feature_len + bit / 8] |= 1 << bit % 8;
}

static void notify(const volatile void *pointer)
{
	hcall(LHCALL_NOTIFY, physical(pointer), 0, 0);
}

/* In 2.6.25 telling means reset; from 3.1 on, features are told of, and little else. */
static void set_status(struct device *device, u8 status)
{
	device->desc->status = status;
	if (TELLS_EVERY_STATUS)
		notify(device->desc);
}

static int reset(struct device *device)
{
	if (DIALECT != 'B')
		device->desc->status = 0;
	notify(device->desc);
	return device->desc->status == 0;
}

static void start(struct device *device, int feature)
{
	set_status(device, STATUS_ACKNOWLEDGE);
	set_status(device, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	if (feature >= 0)
		accept(device, feature);
	if (TELLS_FINAL_FEATURES)
		notify(device->desc);
	for (u32 i = 0; i < device->desc->num_vq && i < 2; i++) {
		struct vqconfig *from = vqconfigs(device) + i;

		device->queues[i] = (struct queue){ from->num, from->irq, (u32)virtual(from->pfn << 12), 0, 0 };
		lguest_data.blocked_interrupts &= ~(1u << from->irq);
	}
	set_status(device, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_DRIVER_OK);
}

static volatile u16 *used_index(struct queue *queue)
{
	u32 avail_end = queue->address + 16 * queue->num + 4 + 2 * queue->num;

	return (volatile u16 *)(((avail_end + 4095) & ~4095u) + 2);
}

/* Offers a chain of buffers, from descriptor 0 on, and kicks. */
static void offer(struct queue *queue, const struct buffer *buffers, u32 count)
{
	volatile u32 *desc = (volatile u32 *)queue->address;
	volatile u16 *avail = (volatile u16 *)(queue->address + 16 * queue->num);

	for (u32 i = 0; i < count; i++) {
		u32 next = i + 1 < count ? DESC_NEXT : 0;

		desc[i * 4] = physical(buffers[i].data);
		desc[i * 4 + 1] = 0;
		desc[i * 4 + 2] = buffers[i].length;
		desc[i * 4 + 3] = buffers[i].flags | next | (i + 1) << 16;
	}
	avail[2 + queue->avail % queue->num] = 0;
	avail[1] = ++queue->avail;
	notify((void *)queue->address);
}

/* Sleeps until the device gives a chain back; the value is how much it wrote. */
static u32 await(struct queue *queue)
{
	for (;;) {
		interrupts_off();
		if (*used_index(queue) != queue->used)
			break;
		hcall(LHCALL_HALT, 0, 0, 0);
	}
	interrupts_on();
	volatile u32 *ring = (volatile u32 *)(used_index(queue) + 1);
	return ring[queue->used++ % queue->num * 2 + 1];
}

static int exchange(struct queue *queue, const struct buffer *buffers, u32 count)
{
	offer(queue, buffers, count);
	return await(queue);
}

static int transfer(u32 type, u32 sector, void *data)
{
	static volatile u32 header[4];
	static volatile u8 status;

	header[0] = type;
	header[2] = sector;
	status = 0xff;
	exchange(disk.queues, (struct buffer[]){
		{ header, 16, 0 },
		{ data, 512, type ? 0 : DESC_WRITE },
		{ &status, 1, DESC_WRITE },
	}, 3);
	return status == 0;
}

static u8 sector_buffer[512];

/* The disk remembers what a restart makes us forget. */
u32 boots_before(void)
{
	transfer(0, 7, sector_buffer);
	return sector_buffer[0];
}

void count_boot(void)
{
	transfer(0, 7, sector_buffer);
	sector_buffer[0]++;
	transfer(1, 7, sector_buffer);
}

static void virtio_write(const char *text, u32 length)
{
	exchange(console.queues + 1, (struct buffer[]){ { (void *)text, length, 0 } }, 1);
}

static struct device *find(u32 type)
{
	switch (type) {
	case VIRTIO_NET: return &net;
	case VIRTIO_BLOCK: return &disk;
	case VIRTIO_CONSOLE: return &console;
	case VIRTIO_RNG: return &rng;
	default: return 0;
	}
}

/* True if each answers its reset. */
static int scan(void)
{
	u8 *at = virtual(memory_bytes), *end = at + 4096;
	int good = 1;

	while (at < end && *at) {
		struct descriptor *desc = (struct descriptor *)at;
		struct device *device = find(desc->type);

		if (device) {
			device->desc = desc;
			good = reset(device) && good;
		}
		at += 5 + 8 * desc->num_vq + 2 * desc->feature_len + desc->config_len;
	}
	return good;
}

static void test_disk(void)
{
	static u8 written[512], read[512];

	start(&disk, -1);
	u32 sectors = *(u32 *)config(&disk);
	for (u32 i = 0; i < 512; i++)
		written[i] = i * 7;
	int good = sectors == 64 && transfer(1, 63, written) && transfer(0, 63, read);
	step("disk: a sector there and back", good && same((char *)written, (char *)read, 512));
	step("disk: beyond the end is an error", !transfer(0, sectors, read));
}

static void test_reset(void)
{
	static u8 read[512];
	int good = reset(&disk);

	for (u32 i = 0; i < 4096; i++)
		good = good && ((u8 *)disk.queues[0].address)[i] == 0;
	good = good && !features(&disk)[disk.desc->feature_len];
	start(&disk, -1);
	step("reset: status, features and rings are zero, and it works again", good && transfer(0, 63, read));
}

static void test_rng(void)
{
	static u8 bytes[64];
	u32 sum = 0;

	start(&rng, -1);
	u32 length = exchange(rng.queues, (struct buffer[]){ { bytes, 64, DESC_WRITE } }, 1);
	for (u32 i = 0; i < 64; i++)
		sum += bytes[i];
	step("entropy", length == 64 && sum != 0);
}

/* With `ping=1` there is a Host at 192.168.19.1; otherwise a mirror. */
static const u8 arp_request[] = {
	8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 192, 168, 19, 2,
	0, 0, 0, 0, 0, 0, 192, 168, 19, 1
};

static void test_net(void)
{
	static u8 out[NET_HEADER + 60], in[NET_HEADER + 1514];
	static const u8 mac[] = { 2, 0, 0, 0, 0, 1 };

	int good = offers(&net, NET_MAC_FEATURE);
	start(&net, NET_MAC_FEATURE);
	good = good && same((char *)config(&net), (char *)mac, 6);
	/* The other end gives frames back with the addresses exchanged. */
	for (u32 i = 0; i < 60; i++)
		out[NET_HEADER + i] = i < 6 ? 0xff : i < 12 ? mac[i - 6] : i;
	u32 asks = argument("ping", 0);
	for (u32 i = 0; asks && i < sizeof(arp_request); i++)
		out[NET_HEADER + 12 + i] = arp_request[i];
	offer(&net.queues[0], (struct buffer[]){
		{ in, NET_HEADER, DESC_WRITE },
		{ in + NET_HEADER, 1514, DESC_WRITE },
	}, 2);
	exchange(&net.queues[1], (struct buffer[]){ { out, NET_HEADER, 0 }, { out + NET_HEADER, 60, 0 } }, 2);
	u32 length = await(&net.queues[0]);
	good = good && length == NET_HEADER + 60;
	good = good && same((char *)in + NET_HEADER, (char *)mac, 6);
	if (asks)
		/* The sender of the reply is who was asked for. */
		good = good && in[NET_HEADER + 21] == 2 && same((char *)in + NET_HEADER + 28, (char *)arp_request + 26, 4);
	else
		good = good && same((char *)in + NET_HEADER + 12, (char *)out + NET_HEADER + 12, 48);
	step("network: a frame there and back", good);
}

static void test_console(void)
{
	static char line[64];
	u32 length = 0;

	start(&console, -1);
	console_write = virtio_write;
	print("ok console: this line went by virtio\nready for input\n");
	while (length < 5)
		length += exchange(console.queues, (struct buffer[]){ { line + length, 32, DESC_WRITE } }, 1);
	step("console: what was typed arrives", same(line, "hello", 5));
}

void test_bus(void)
{
	step("bus: devices are found, and reset", scan());
	if (disk.desc) {
		test_disk();
		test_reset();
	}
	if (rng.desc)
		test_rng();
	if (net.desc)
		test_net();
	test_console();
	u32 interrupts = 0;
	for (u32 irq = 1; irq < 32; irq++)
		interrupts += irq_count[irq];
	step("devices interrupted", interrupts > 0);
}

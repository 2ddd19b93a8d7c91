// SPDX-License-Identifier: GPL-2.0
/*
 * Virtio devices on lguest's descriptor page, for Linux 6.1.
 *
 * The hypervisor keeps a list of devices in a page above the top of RAM, and
 * rings for all their queues in the pages behind it. There are no registers:
 * the driver stores into the page like into any memory, and then makes one
 * hypercall, NOTIFY, with the address of what there is to see.
 *
 * CPUID tells where the page is: the leaf behind the one with the signature
 * "lguestlguest" has bit 0 of EAX set, the page's frame number in EBX, and the
 * number of frames from there in ECX. "virtio_lguest.page=" overrides it.
 *
 * Two ages of devices are driven. Legacy ones are as Linux 2.6.25 knew them.
 * Those that offer VIRTIO_F_VERSION_1 end their configuration space with a
 * trailer: the interrupt for changes of the configuration, and a generation.
 * docs/lguest-bus.md has the rules of both.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <asm/processor.h>
#include <asm/unaligned.h>

#define SIGNATURE		"lguestlguest"
#define LEAF_HAS_PAGE		BIT(0)

#define LHCALL_SHUTDOWN		2
#define LGUEST_SHUTDOWN_POWEROFF 1
#define LHCALL_NOTIFY		17

#define RING_ALIGN		4096
/* No ring of ours is so long that its pages would be more. */
#define LONGEST_RING		32768

struct lg_desc {
	u8 type;
	u8 num_vq;
	u8 feature_len;
	u8 config_len;
	u8 status;
	/* Queues, two sets of feature_len bytes, config_len bytes. */
	u8 rest[];
} __packed;

struct lg_queue_desc {
	__le16 num;
	__le16 irq;
	__le32 pfn;
} __packed;

struct lg_trailer {
	__le16 irq;
	__le16 generation;
} __packed;

/* The machine: one page. */
struct lg_bus {
	phys_addr_t phys;
	u8 *page;
	/* What the hypervisor is told when it is asked to switch off. */
	char *farewell;
	struct list_head devices;
};

struct lg_device {
	struct virtio_device vdev;
	struct list_head link;
	struct lg_bus *bus;
	struct lg_desc *desc;
	/* Copies: the page belongs to both sides. */
	u8 num_vq, feature_len, config_len;
	struct lg_trailer *trailer;
	int config_irq;
	u16 seen_generation;
};

/* What is behind a virtqueue. */
struct lg_queue {
	phys_addr_t phys;
	void *ring;
	int irq;
};

static ulong page_frame;
module_param_named(page, page_frame, ulong, 0444);
MODULE_PARM_DESC(page, "frame number of the descriptor page (default: ask CPUID)");

static void lg_hypercall(ulong call, ulong arg1, ulong arg2)
{
	asm volatile("vmcall" : : "a" (call), "b" (arg1), "c" (arg2) : "memory");
}

static struct lg_device *to_lg(struct virtio_device *vdev)
{
	return container_of(vdev, struct lg_device, vdev);
}

static phys_addr_t lg_phys(struct lg_device *lg, const void *at)
{
	return lg->bus->phys + ((const u8 *)at - lg->bus->page);
}

static u8 *lg_features(struct lg_device *lg)
{
	return lg->desc->rest + lg->num_vq * sizeof(struct lg_queue_desc);
}

static u8 *lg_config(struct lg_device *lg)
{
	return lg_features(lg) + 2 * lg->feature_len;
}

/*
 * The configuration space.
 */

static bool lg_config_has(struct lg_device *lg, unsigned int offset,
			  unsigned int len)
{
	return !WARN_ONCE(offset + len > lg->config_len,
			  "%s: there is no configuration at %u+%u\n",
			  dev_name(&lg->vdev.dev), offset, len);
}

static void lg_get(struct virtio_device *vdev, unsigned int offset, void *buf,
		   unsigned int len)
{
	struct lg_device *lg = to_lg(vdev);

	memset(buf, 0, len);
	if (lg_config_has(lg, offset, len))
		memcpy(buf, lg_config(lg) + offset, len);
}

static void lg_set(struct virtio_device *vdev, unsigned int offset,
		   const void *buf, unsigned int len)
{
	struct lg_device *lg = to_lg(vdev);
	u8 *at = lg_config(lg) + offset;

	if (!lg_config_has(lg, offset, len))
		return;
	memcpy(at, buf, len);
	/* Legacy hypervisors look when they are told of something else. */
	if (lg->trailer)
		lg_hypercall(LHCALL_NOTIFY, lg_phys(lg, at), len);
}

static u32 lg_generation(struct virtio_device *vdev)
{
	struct lg_device *lg = to_lg(vdev);

	return lg->trailer ? le16_to_cpu(READ_ONCE(lg->trailer->generation)) : 0;
}

/*
 * Status and features.
 */

static u8 lg_get_status(struct virtio_device *vdev)
{
	return READ_ONCE(to_lg(vdev)->desc->status);
}

static void lg_set_status(struct virtio_device *vdev, u8 status)
{
	struct lg_device *lg = to_lg(vdev);

	WRITE_ONCE(lg->desc->status, status);
	lg_hypercall(LHCALL_NOTIFY, lg_phys(lg, lg->desc), 0);
}

static void lg_reset(struct virtio_device *vdev)
{
	/* The hypervisor also zeroes the acknowledgements and the rings. */
	lg_set_status(vdev, 0);
	WARN_ON_ONCE(lg_get_status(vdev) != 0);
}

static u64 lg_get_features(struct virtio_device *vdev)
{
	struct lg_device *lg = to_lg(vdev);
	u8 bytes[8] = {};

	memcpy(bytes, lg_features(lg), min_t(size_t, lg->feature_len, 8));
	return get_unaligned_le64(bytes);
}

static int lg_finalize_features(struct virtio_device *vdev)
{
	struct lg_device *lg = to_lg(vdev);
	u8 *acks = lg_features(lg) + lg->feature_len;
	u8 bytes[8];

	vring_transport_features(vdev);
	/* The rings are where the hypervisor put them, and split. */
	__virtio_clear_bit(vdev, VIRTIO_F_RING_PACKED);

	put_unaligned_le64(vdev->features, bytes);
	memset(acks, 0, lg->feature_len);
	memcpy(acks, bytes, min_t(size_t, lg->feature_len, 8));
	return 0;
}

/*
 * Queues.
 */

static bool lg_notify(struct virtqueue *vq)
{
	struct lg_queue *queue = vq->priv;

	lg_hypercall(LHCALL_NOTIFY, queue->phys, 0);
	return true;
}

static struct virtqueue *lg_find_vq(struct lg_device *lg, unsigned int index,
				    vq_callback_t *callback, const char *name,
				    bool ctx)
{
	struct lg_queue_desc desc;
	struct lg_queue *queue;
	struct virtqueue *vq;
	unsigned int num;
	int err;

	if (index >= lg->num_vq)
		return ERR_PTR(-ENOENT);
	memcpy(&desc, lg->desc->rest + index * sizeof(desc), sizeof(desc));
	num = le16_to_cpu(desc.num);
	if (!is_power_of_2(num) || num > LONGEST_RING)
		return ERR_PTR(-EINVAL);

	queue = kzalloc(sizeof(*queue), GFP_KERNEL);
	if (!queue)
		return ERR_PTR(-ENOMEM);
	queue->irq = le16_to_cpu(desc.irq);
	queue->phys = (phys_addr_t)le32_to_cpu(desc.pfn) << PAGE_SHIFT;
	queue->ring = memremap(queue->phys, vring_size(num, RING_ALIGN),
			       MEMREMAP_WB);
	if (!queue->ring) {
		err = -ENOMEM;
		goto free;
	}
	vq = vring_new_virtqueue(index, num, RING_ALIGN, &lg->vdev, true, ctx,
				 queue->ring, lg_notify, callback, name);
	if (!vq) {
		err = -ENOMEM;
		goto unmap;
	}
	vq->priv = queue;
	vq->num_max = num;
	/* An edge that several queues may share. */
	err = request_irq(queue->irq, vring_interrupt, IRQF_SHARED,
			  dev_name(&lg->vdev.dev), vq);
	if (err)
		goto delete;
	return vq;

delete:
	vring_del_virtqueue(vq);
unmap:
	memunmap(queue->ring);
free:
	kfree(queue);
	return ERR_PTR(err);
}

static void lg_del_vq(struct virtqueue *vq)
{
	struct lg_queue *queue = vq->priv;

	free_irq(queue->irq, vq);
	vring_del_virtqueue(vq);
	memunmap(queue->ring);
	kfree(queue);
}

static irqreturn_t lg_config_interrupt(int irq, void *data)
{
	struct lg_device *lg = data;
	u16 generation = lg_generation(&lg->vdev);

	if (generation == lg->seen_generation)
		return IRQ_NONE;
	lg->seen_generation = generation;
	virtio_config_changed(&lg->vdev);
	return IRQ_HANDLED;
}

static int lg_request_config_irq(struct lg_device *lg)
{
	int irq, err;

	if (!lg->trailer)
		return 0;
	irq = le16_to_cpu(lg->trailer->irq);
	lg->seen_generation = lg_generation(&lg->vdev);
	err = request_irq(irq, lg_config_interrupt, IRQF_SHARED,
			  dev_name(&lg->vdev.dev), lg);
	if (!err)
		lg->config_irq = irq;
	return err;
}

static void lg_del_vqs(struct virtio_device *vdev)
{
	struct lg_device *lg = to_lg(vdev);
	struct virtqueue *vq, *next;

	if (lg->config_irq >= 0)
		free_irq(lg->config_irq, lg);
	lg->config_irq = -1;
	list_for_each_entry_safe(vq, next, &vdev->vqs, list)
		lg_del_vq(vq);
}

static int lg_find_vqs(struct virtio_device *vdev, unsigned int nvqs,
		       struct virtqueue *vqs[], vq_callback_t *callbacks[],
		       const char * const names[], const bool *ctx,
		       struct irq_affinity *affinity)
{
	struct lg_device *lg = to_lg(vdev);
	unsigned int i, index = 0;
	int err = lg_request_config_irq(lg);

	if (err)
		return err;
	for (i = 0; i < nvqs; i++) {
		/* Queues without a name are not wanted, and have no number. */
		if (!names[i]) {
			vqs[i] = NULL;
			continue;
		}
		vqs[i] = lg_find_vq(lg, index++, callbacks[i], names[i],
				    ctx && ctx[i]);
		if (IS_ERR(vqs[i])) {
			err = PTR_ERR(vqs[i]);
			lg_del_vqs(vdev);
			return err;
		}
	}
	return 0;
}

static void lg_synchronize_cbs(struct virtio_device *vdev)
{
	struct virtqueue *vq;

	list_for_each_entry(vq, &vdev->vqs, list) {
		struct lg_queue *queue = vq->priv;

		synchronize_irq(queue->irq);
	}
}

static const char *lg_bus_name(struct virtio_device *vdev)
{
	return dev_name(vdev->dev.parent);
}

static const struct virtio_config_ops lg_config_ops = {
	.get			= lg_get,
	.set			= lg_set,
	.generation		= lg_generation,
	.get_status		= lg_get_status,
	.set_status		= lg_set_status,
	.reset			= lg_reset,
	.get_features		= lg_get_features,
	.finalize_features	= lg_finalize_features,
	.find_vqs		= lg_find_vqs,
	.del_vqs		= lg_del_vqs,
	.synchronize_cbs	= lg_synchronize_cbs,
	.bus_name		= lg_bus_name,
};

/*
 * The page.
 */

static void lg_release(struct device *dev)
{
	kfree(to_lg(dev_to_virtio(dev)));
}

/* Bytes that the descriptor takes, or 0 if it does not fit the page. */
static unsigned int lg_desc_size(const struct lg_desc *desc, unsigned int room)
{
	unsigned int size = sizeof(*desc);

	if (room < size)
		return 0;
	size += desc->num_vq * sizeof(struct lg_queue_desc) +
		2 * desc->feature_len + desc->config_len;
	return size <= room ? size : 0;
}

static int lg_add(struct platform_device *pdev, struct lg_bus *bus,
		  struct lg_desc *desc)
{
	struct lg_device *lg = kzalloc(sizeof(*lg), GFP_KERNEL);
	int err;

	if (!lg)
		return -ENOMEM;
	lg->bus = bus;
	lg->desc = desc;
	lg->num_vq = desc->num_vq;
	lg->feature_len = desc->feature_len;
	lg->config_len = desc->config_len;
	lg->config_irq = -1;
	lg->vdev.dev.parent = &pdev->dev;
	lg->vdev.dev.release = lg_release;
	lg->vdev.id.device = desc->type;
	lg->vdev.config = &lg_config_ops;
	if (lg_get_features(&lg->vdev) & BIT_ULL(VIRTIO_F_VERSION_1) &&
	    lg->config_len >= sizeof(*lg->trailer)) {
		lg->config_len -= sizeof(*lg->trailer);
		lg->trailer = (void *)(lg_config(lg) + lg->config_len);
	}
	err = register_virtio_device(&lg->vdev);
	if (err) {
		put_device(&lg->vdev.dev);
		return err;
	}
	list_add_tail(&lg->link, &bus->devices);
	return 0;
}

static void lg_scan(struct platform_device *pdev, struct lg_bus *bus)
{
	unsigned int offset = 0, size;

	while (offset < PAGE_SIZE && bus->page[offset] != 0) {
		struct lg_desc *desc = (void *)(bus->page + offset);
		int err;

		size = lg_desc_size(desc, PAGE_SIZE - offset);
		if (!size) {
			dev_err(&pdev->dev, "the device at %u leaves the page\n",
				offset);
			return;
		}
		err = lg_add(pdev, bus, desc);
		if (err)
			dev_err(&pdev->dev, "no device at %u: %d\n", offset, err);
		offset += size;
	}
}

/* For kernels without ACPI, or without its power switch. */
static int lg_power_off(struct sys_off_data *data)
{
	struct lg_bus *bus = data->cb_data;

	lg_hypercall(LHCALL_SHUTDOWN, virt_to_phys(bus->farewell),
		     LGUEST_SHUTDOWN_POWEROFF);
	return NOTIFY_DONE;
}

static int lg_probe(struct platform_device *pdev)
{
	struct resource *memory = platform_get_resource(pdev, IORESOURCE_MEM, 0);
	struct lg_bus *bus;
	int err;

	bus = devm_kzalloc(&pdev->dev, sizeof(*bus), GFP_KERNEL);
	if (!bus || !memory)
		return -ENOMEM;
	INIT_LIST_HEAD(&bus->devices);
	bus->phys = memory->start;
	bus->page = devm_memremap(&pdev->dev, bus->phys, PAGE_SIZE, MEMREMAP_WB);
	if (IS_ERR(bus->page))
		return PTR_ERR(bus->page);
	/* Not of the module's memory, which has no simple physical address. */
	bus->farewell = devm_kstrdup(&pdev->dev, "Power down", GFP_KERNEL);
	if (!bus->farewell)
		return -ENOMEM;
	platform_set_drvdata(pdev, bus);
	err = devm_register_sys_off_handler(&pdev->dev, SYS_OFF_MODE_POWER_OFF,
					    SYS_OFF_PRIO_DEFAULT, lg_power_off,
					    bus);
	if (err)
		return err;
	lg_scan(pdev, bus);
	return 0;
}

static int lg_remove(struct platform_device *pdev)
{
	struct lg_bus *bus = platform_get_drvdata(pdev);
	struct lg_device *lg, *next;

	list_for_each_entry_safe(lg, next, &bus->devices, link) {
		list_del(&lg->link);
		unregister_virtio_device(&lg->vdev);
	}
	return 0;
}

static struct platform_driver lg_driver = {
	.probe	= lg_probe,
	.remove	= lg_remove,
	.driver	= { .name = "lguest" },
};

static struct platform_device *lg_platform_device;

/* Where the page is; false if this is no lguest. */
static bool lg_find_page(struct resource *memory)
{
	unsigned long frames = 1;
	u32 base;

	if (!page_frame && boot_cpu_has(X86_FEATURE_HYPERVISOR)) {
		base = hypervisor_cpuid_base(SIGNATURE, 1);
		if (base && cpuid_eax(base + 1) & LEAF_HAS_PAGE) {
			page_frame = cpuid_ebx(base + 1);
			frames = cpuid_ecx(base + 1);
		}
	}
	if (!page_frame || !frames)
		return false;
	memory->start = (resource_size_t)page_frame << PAGE_SHIFT;
	memory->end = memory->start + (frames << PAGE_SHIFT) - 1;
	memory->flags = IORESOURCE_MEM;
	return true;
}

static int __init lg_init(void)
{
	struct resource memory = { .name = "lguest" };
	int err;

	if (!lg_find_page(&memory))
		return -ENODEV;
	err = platform_driver_register(&lg_driver);
	if (err)
		return err;
	lg_platform_device = platform_device_register_simple(
		"lguest", PLATFORM_DEVID_NONE, &memory, 1);
	if (IS_ERR(lg_platform_device)) {
		platform_driver_unregister(&lg_driver);
		return PTR_ERR(lg_platform_device);
	}
	return 0;
}

static void __exit lg_exit(void)
{
	platform_device_unregister(lg_platform_device);
	platform_driver_unregister(&lg_driver);
}

module_init(lg_init);
module_exit(lg_exit);

MODULE_DESCRIPTION("Virtio devices on lguest's descriptor page");
MODULE_LICENSE("GPL");
